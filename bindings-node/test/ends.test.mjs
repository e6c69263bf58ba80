// Spec 2.6 for Node, row by row; spec 6.4 row by row.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describe, ended, finish, signalled, start } from './child.mjs';

const HOOKS = `
  gs.hook('flush', async () => { await sleep(20); say('js hook'); }, { name: 'js' });
  gs.execHook('close', ['true'], { name: 'native' });
  process.on('exit', (code) => say('exit event', code));
`;

const outcomes = (it) => ['js', 'native'].map((n) => it.hook(n)?.outcome + (it.hook(n)?.why ? `: ${it.hook(n).why}` : ''));

test('the loop empties: host_end, all hooks, status 0', async () => {
  const it = await ended(`const gs = install(); ${HOOKS}`);
  assert.equal(it.status, 0, describe(it));
  assert.deepEqual([it.report.reason.kind, it.report.outcome, ...outcomes(it)], ['host_end', 'clean', 'ok', 'ok']);
  assert.deepEqual(it.lines, ['js hook', 'exit event 0']);
});

test('the loop empties with process.exitCode = 3: kept', async () => {
  const it = await ended(`const gs = install(); ${HOOKS} process.exitCode = 3;`);
  assert.equal(it.status, 3, describe(it));
  assert.equal(it.report.outcome, 'clean');
  assert.deepEqual(it.lines, ['js hook', 'exit event 3']);
});

test('a beforeExit listener that goes on is not the end, wherever it stands', async () => {
  for (const order of ['before', 'after']) {
    const listen = `let n = 0; process.on('beforeExit', () => { if (n++ < 3) setTimeout(() => say('work', n), 10); });`;
    const it = await ended(`${order === 'before' ? listen : ''} const gs = install(); ${order === 'after' ? listen : ''} ${HOOKS}`);
    assert.equal(it.status, 0, describe(it));
    assert.deepEqual(it.lines.slice(0, 4), ['work 1', 'work 2', 'work 3', 'js hook'], order + describe(it));
  }
});

test('top-level await of wait() keeps no process alive, and is answered', async () => {
  const it = await ended(`import { install } from 'graceshut'; const gs = install(); const f = await gs.wait(); say(f.exitCode);`, { esm: true });
  assert.equal(it.status, 0, describe(it));
  assert.deepEqual(it.lines, ['0']);
});

for (const code of [0, 3]) {
  test(`process.exit(${code}): native hooks run, JavaScript ones are skipped, not degraded`, async () => {
    const it = await ended(`const gs = install(); ${HOOKS} stay(); setTimeout(() => process.exit(${code}), 20);`);
    assert.equal(it.status, code, describe(it));
    assert.deepEqual([it.report.reason.kind, it.report.outcome, ...outcomes(it)], ['host_end', 'clean', 'skipped: host_closed', 'ok']);
    assert.deepEqual(it.lines, [`exit event ${code}`]);
  });
}

test('process.exit() with work in flight does not wait for what nobody can finish, and tells how much it was', async () => {
  const it = start(`const gs = install(); ${HOOKS} gs.enter(); gs.group('uploads').enter(); stay(); say('ready'); setTimeout(() => process.exit(3), 20);`);
  await it.said();
  const t = performance.now();
  await finish(it);
  assert.ok(performance.now() - t < 2000, describe(it));
  assert.equal(it.status, 3, describe(it));
  assert.equal(it.report.in_flight.at_drain_start, 2, describe(it));
});

for (const [what, throwing, says, esm] of [
  ['an uncaught throw', `setTimeout(() => { throw new Error('uncaught boom'); }, 10);`, /throw new Error\('uncaught boom'\).*\n\s*\^\n+Error: uncaught boom/],
  ['a throw in the main script', `throw new Error('uncaught boom');`, /Error: uncaught boom/],
  ['a throw in an ESM main script', `throw new Error('uncaught boom');`, /Error: uncaught boom/, true],
  ['an unhandled rejection', `Promise.reject(new Error('uncaught boom'));`, /Error: uncaught boom/],
  ['an unhandled rejection of no error', `Promise.reject('uncaught boom');`, /ERR_UNHANDLED_REJECTION/],
]) {
  test(`${what}: trigger uncaught, all hooks, the message at once, status 1`, async () => {
    const head = esm ? `import { install } from 'graceshut'; const gs = install();` : 'const gs = install();';
    const it = await ended(`${head} ${HOOKS} stay(); ${throwing}`, { esm });
    assert.equal(it.status, 1, describe(it));
    assert.deepEqual([it.report.reason.kind, it.report.outcome, ...outcomes(it)], ['uncaught', 'clean', 'ok', 'ok']);
    assert.match(it.report.reason.message, /uncaught boom/);
    assert.match(it.stderr, says);
    assert.match(it.stderr, /Node\.js v/);
    assert.deepEqual(it.lines, ['js hook', 'exit event 1']);
  });
}

test("the program's own uncaughtException listener: not an uncaught error", async () => {
  const it = await ended(`const gs = install(); ${HOOKS} process.on('uncaughtException', (e) => say('mine', e.message)); throw new Error('x');`);
  assert.equal(it.status, 0, describe(it));
  assert.equal(it.report.reason.kind, 'host_end');
  assert.deepEqual(it.lines, ['mine x', 'js hook', 'exit event 0']);
});

test('process.reallyExit() asks nobody, and waits for nothing', async () => {
  const it = await ended(`const gs = install(); ${HOOKS} process.reallyExit(4);`);
  assert.deepEqual([it.status, it.report, it.lines], [4, null, []], describe(it));
});

test('process.abort() and KILL ask nobody', async () => {
  const abort = await ended(`const gs = install(); ${HOOKS} process.abort();`);
  assert.equal(abort.signal, 'SIGABRT', describe(abort));
  const kill = await ended(`const gs = install(); ${HOOKS} process.kill(process.pid, 'SIGKILL'); stay();`);
  assert.equal(kill.signal, 'SIGKILL', describe(kill));
  assert.deepEqual([abort.report, kill.report, abort.lines, kill.lines], [null, null, [], []]);
});

// 6.4
const code = (script, options) => (options?.ended ? ended : signalled)(`${script} stay(); say('ready');`, options);

test('6.4 clean after TERM 0; after INT death by INT, exit listeners ran', async () => {
  const install = `const gs = install(); gs.hook('flush', () => {}, { name: 'f' }); process.on('exit', (c) => say('exit', c));`;
  assert.equal((await code(install)).status, 0);
  const int = await code(install, { signal: 'SIGINT' });
  assert.equal(int.signal, 'SIGINT', describe(int));
  assert.deepEqual(int.lines, ['exit 130']);
  assert.deepEqual([int.report.exit_code, int.report.exit_signal], [130, 'INT']);
  const hup = await code(install, { signal: 'SIGHUP' });
  assert.equal(hup.status, 0, describe(hup));
});

test('6.4 reraise dies by the signal when clean', async () => {
  const it = await code(`const gs = install({ exit: 'reraise' });`);
  assert.equal(it.signal, 'SIGTERM', describe(it));
});

test('6.4 clean after stop() 0', async () => {
  const it = await ended(`const gs = install(); gs.stop(); stay();`);
  assert.equal(it.status, 0, describe(it));
});

test('6.4 degraded turns 0 into 1, keeps another code, can be configured', async () => {
  const bad = `gs.hook('flush', () => { throw new Error('x'); }, { name: 'f' });`;
  assert.equal((await code(`const gs = install(); ${bad}`)).status, 1);
  assert.equal((await code(`const gs = install({ exitCodeDegraded: 9 }); ${bad}`)).status, 9);
  assert.equal((await ended(`const gs = install(); ${bad} process.exitCode = 5;`)).status, 5);
  assert.equal((await ended(`const gs = install(); ${bad}`)).status, 1);
});

test('6.4 forced 128 + n, 70 without a signal', async () => {
  const stuck = `for (const p of ['announce', 'drain', 'flush', 'close', 'final']) gs.hook(p, () => new Promise(() => {}), { name: p });`;
  const it = await code(`const gs = install({ grace: 700 }); ${stuck}`);
  assert.equal(it.status, 143, describe(it));
  const stop = await ended(`const gs = install({ grace: 700 }); ${stuck} gs.stop('x'); stay();`);
  assert.equal(stop.status, 70, describe(stop));
  const own = await code(`const gs = install({ grace: 700, exitCodeForced: 77 }); ${stuck}`);
  assert.equal(own.status, 77, describe(own));
});

test('8.6 process.exit(n) in a hook ends that hook, proposes n, and the plan goes on', async () => {
  const it = await code(`const gs = install();
    gs.hook('drain', () => { process.exit(6); say('not reached'); }, { name: 'sync' });
    gs.hook('drain', async () => { await sleep(5); process.exit(0); }, { name: 'async' });
    gs.hook('drain', () => new Promise(() => { setTimeout(() => process.exit(6), 10); }), { name: 'callback' });
    gs.hook('flush', () => say('flush'), { name: 'flush' });
    process.on('exit', (c) => say('exit', c));`);
  assert.equal(it.status, 6, describe(it));
  assert.deepEqual(['sync', 'async', 'callback', 'flush'].map((n) => it.hook(n).outcome), ['failed', 'ok', 'failed', 'ok'], describe(it));
  assert.deepEqual(it.lines, ['flush', 'exit 6']);
});

test('a hanging exit listener does not hold the process: the decided status', async () => {
  const it = await code(`const gs = install({ grace: 1000 }); process.on('exit', () => { for (;;); });`);
  assert.equal(it.status, 0, describe(it));
  assert.ok(it.at - it.killedAt < 1500, `${it.at - it.killedAt} ms`);
});

test('SIGKILL cannot be held, and a process stopped and continued ends in time', async () => {
  const it = start(`const gs = install({ grace: '3s' }); gs.hook('flush', () => say('flush'), { name: 'f' }); stay(); say('ready');`);
  await it.said();
  it.child.kill('SIGSTOP');
  it.kill('SIGTERM');
  it.child.kill('SIGCONT');
  await finish(it);
  assert.equal(it.status, 0, describe(it));
});

test('a top-level await that never settles keeps Node’s status, after all hooks; one that a hook settles ends as ever', async () => {
  const esm = `import { install } from 'graceshut'; const gs = install();`;
  const never = await ended(`${esm} gs.hook('flush', () => say('flush')); await new Promise(() => {});`, { esm: true });
  assert.deepEqual([never.status, never.lines], [13, ['flush']], describe(never));
  const settled = await ended(`${esm} await new Promise((done) => gs.hook('flush', done)); await gs.wait(); say('over');`, { esm: true });
  assert.deepEqual([settled.status, settled.lines], [0, ['over']], describe(settled));
  const signal = await signalled(`${esm} stay(); say('ready'); await new Promise(() => {});`, { esm: true });
  assert.equal(signal.status, 0, describe(signal));
});

test('process.exit without a code leaves with process.exitCode', async () => {
  const it = await ended(`install({ grace: '10s' }); process.on('exit', (code) => say('exit', code)); process.exitCode = 5; process.exit();`);
  assert.deepEqual([it.status, it.lines], [5, ['exit 5']], describe(it));
});
