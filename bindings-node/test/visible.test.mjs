// What tools see that look at the listeners of a signal: tsx, Deno and Prisma exit at once where they find none.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describe, ended, signalled } from './child.mjs';

const HOOK = `gs.hook('flush', async () => { await sleep(50); say('hook'); }, { name: 'flush' });`;
/** As tsx has it: a listener that hides itself, and exits when nobody else listens. */
const TOOL = `
  const hidden = () => { if (process.listenerCount('SIGTERM') === 0) process.reallyExit(143); };
  process.on('SIGTERM', hidden);
  const { listenerCount, listeners } = process;
  process.listenerCount = (name) => listenerCount.call(process, name) - 1;
  process.listeners = (name) => listeners.call(process, name).filter((f) => f !== hidden);`;
const masks = `const caught = (n) => Number((BigInt('0x' + /SigCgt:\\s*(\\w+)/.exec(require_fs.readFileSync('/proc/self/status'))[1]) >> BigInt(n - 1)) & 1n);`;

test('a tool that exits where nobody listens, loaded before and after install: the hooks run', async () => {
  for (const script of [`${TOOL} const gs = install(); ${HOOK}`, `const gs = install(); ${HOOK} ${TOOL}`]) {
    const it = await signalled(`${script} stay(); setImmediate(() => say('ready'));`); // a listener is seen when its turn is over
    assert.equal(it.status, 0, describe(it));
    assert.deepEqual(it.lines, ['hook']);
    assert.ok(it.at - it.killedAt < 3000, 'a hidden listener does not count as a handler of the program');
  }
});

test('a listener that acts only where it is the only one acts, whenever it was added', async () => {
  const sole = `process.on('SIGTERM', () => { if (process.listenerCount('SIGTERM') === 1) setTimeout(() => { say('stopped'); process.exit(0); }, 300); });`;
  for (const script of [`${sole} const gs = install();`, `const gs = install(); ${sole}`]) {
    const it = await signalled(`${script} ${HOOK} stay(); say('ready');`);
    assert.deepEqual([it.status, it.lines], [0, ['hook', 'stopped']], describe(it));
    assert.ok(it.at - it.killedAt < 3000, describe(it));
  }
  const it = await signalled(`const gs = install(); ${HOOK} ${TOOL} const own = () => {}; process.on('SIGTERM', own);
    setTimeout(() => { process.off('SIGTERM', own); setTimeout(() => say('ready'), 20); }, 20); stay();`);
  assert.deepEqual([it.status, it.lines], [0, ['hook']], 'with the last one of the program gone, ours is there again');
});

test('one listener for each managed signal while installed; it keeps no process alive', async () => {
  const it = await ended(`
    const counts = () => say(['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGUSR2'].map((n) => process.listenerCount(n)).join());
    counts(); const gs = install({ exit: 'manual' }); counts(); gs.uninstall(); counts(); install(); counts();`);
  assert.equal(it.status, 0, describe(it));
  assert.deepEqual(it.lines, ['0,0,0,0', '1,1,1,0', '0,0,0,0', '1,1,1,0']);
  assert.equal(it.report.reason.kind, 'host_end');
});

test('a program that removes every listener of a signal, or of all, does not disarm the process', async () => {
  for (const remove of [`process.removeAllListeners('SIGTERM')`, `process.removeAllListeners()`, `for (const f of process.listeners('SIGTERM')) process.off('SIGTERM', f)`]) {
    const it = await signalled(`const gs = install(); ${HOOK} process.on('SIGTERM', () => say('never')); ${remove}; stay(); say('ready');`);
    assert.equal(it.status, 0, describe(it));
    assert.deepEqual(it.lines, ['hook'], remove);
    assert.deepEqual([it.report.handler.at(-1).signal, it.report.handler.at(-1).state], ['TERM', 'ours']);
  }
});

test("listeners of the program's own, wherever they stand, are called once; the latency is the handler's", async () => {
  const it = await signalled(`
    process.on('SIGTERM', () => say('before'));
    const gs = install({ leave: 'at_once' }); ${HOOK}
    process.prependListener('SIGTERM', () => say('first')); process.once('SIGTERM', () => say('once'));
    gs.hook('flush', () => { const t = gs.report(); });
    stay(); say('ready'); block(300);`);
  assert.equal(it.status, 0, describe(it));
  assert.deepEqual(it.lines, ['first', 'before', 'once', 'hook']);
  assert.ok(it.report.scheduling_delay_us < 100_000);
});

test('a signal while the loop is blocked is heard at once though JavaScript listens', async () => {
  const it = await signalled(`const gs = install({ grace: '4s', leave: 'at_once' }); gs.execHook('announce', ['true'], { name: 'native' }); ${HOOK}
    process.on('SIGTERM', () => say('late')); stay(); say('ready'); block(900);`);
  const announce = it.report.phases.find((p) => p.name === 'announce');
  assert.ok(announce.used_us < 800_000, `announce was over before the loop came back: ${announce.used_us}`);
  assert.equal(it.status, 0, describe(it));
});

test('after uninstall the signal is the program’s again', async () => {
  const it = await signalled(`${masks} process.on('SIGTERM', () => { say('mine'); process.exit(0); });
    const gs = install({ exit: 'manual' }); gs.uninstall(); say(caught(15), caught(2)); stay(); say('ready');`);
  assert.equal(it.status, 0, describe(it));
  assert.deepEqual(it.lines, ['1 0', 'mine']);
});

test('signal-exit watches, and ends the process no earlier than before', async () => {
  // What its version 4 does, in its own words: it ends the process when it is the only one that listens.
  const it = await signalled(`
    const emitter = { count: 1 }; globalThis[Symbol.for('signal-exit emitter')] = emitter;
    const watch = () => { if (process.listeners('SIGTERM').length === emitter.count) { process.off('SIGTERM', watch); process.kill(process.pid, 'SIGTERM'); } };
    process.on('SIGTERM', watch);
    const gs = install({ grace: '5s' }); ${HOOK} stay(); say('ready');`);
  assert.equal(it.status, 0, describe(it));
  assert.deepEqual(it.lines, ['hook']);
  assert.ok(it.at - it.killedAt < 3000, 'a watcher is no handler of the program');
});
