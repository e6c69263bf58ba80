// Spec 8.6: process.exit outside a hook while the plan runs, as libraries' listeners for the same signal call it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describe, ended, finish, signalled, start } from './child.mjs';

const PLAN = `
  const gs = install({ grace: '6s' });
  gs.hook('drain', () => sleep(100), { name: 'server' });
  gs.hook('flush', () => say('flush'), { name: 'flush' });
  process.on('exit', (code) => say('exit', code));`;

/** Every hook ran and the process left at once after them, with `code`. */
function whole(it, code, lines) {
  assert.equal(it.status, code, describe(it));
  assert.deepEqual(['server', 'flush'].map((n) => it.hook(n).outcome), ['ok', 'ok'], describe(it));
  assert.deepEqual(it.lines, [...lines, 'flush', `exit ${code}`], describe(it));
  assert.ok(it.at - it.killedAt < 3000, `${it.at - it.killedAt} ms`);
}

test('a listener that exits at once, sync: the plan goes on, its code is the status', async () => {
  const it = await signalled(`process.on('SIGTERM', () => { say('listener'); process.exit(143); say('not reached'); }); ${PLAN} stay(); say('ready');`);
  whole(it, 143, ['listener']);
});

test('a listener that exits when its own clean-up is over, as most are written', async () => {
  const it = await signalled(`${PLAN} stay();
    process.on('unhandledRejection', (e) => say('unhandled', e));
    process.on('uncaughtException', (e) => say('uncaught', e));
    process.on('SIGTERM', async () => { await sleep(30); say('own stop is over'); process.exit(0); });
    process.on('SIGTERM', () => setTimeout(() => process.exit(7), 60));
    say('ready');`);
  whole(it, 0, ['own stop is over']);
});

test('process.exitCode and no argument', async () => {
  const it = await signalled(`${PLAN} stay(); process.on('SIGTERM', () => { process.exitCode = 9; process.exit(); }); say('ready');`);
  whole(it, 9, []);
});

test('the process still ends by its deadline', async () => {
  const it = await signalled(`const gs = install({ grace: '1500ms' }); gs.hook('drain', () => new Promise(() => {}), { name: 'stuck' });
    process.on('SIGTERM', () => process.exit(0)); stay(); say('ready');`);
  assert.equal(it.status, 143, describe(it));
  assert.ok(it.at - it.killedAt < 2500, `${it.at - it.killedAt} ms`);
});

test('a third signal leaves at once all the same', async () => {
  const it = start(`const gs = install({ grace: '20s', repeat: 'interactive' }); gs.hook('drain', () => { say('draining'); return new Promise(() => {}); });
    process.on('SIGTERM', () => process.exit(0)); stay(); say('ready');`);
  await it.said();
  it.kill();
  await it.said('draining');
  setTimeout(() => it.kill(), 600);
  await finish(it);
  assert.equal(it.status, 143, describe(it));
  assert.ok(it.at - it.killedAt < 3000);
});

test('before a shutdown and after it nothing is put off', async () => {
  const before = await ended(`${PLAN} setTimeout(() => process.exit(3), 10); stay();`);
  assert.deepEqual([before.status, before.hook('flush').why], [3, 'host_closed'], describe(before));
  const after = await signalled(`${PLAN} gs.wait().then(() => process.exit(5)); stay(); say('ready');`);
  whole(after, 5, []);
});

test('without a deadline nothing is put off: a hook that never ends cannot keep the process', async () => {
  const it = await ended(`const gs = install({ graceNormal: 'none' }); gs.hook('drain', () => new Promise(() => {})); gs.stop(); setTimeout(() => process.exit(4), 100);`);
  assert.equal(it.status, 4, describe(it));
});

test('an exit that could not be put off names its caller in the report', async () => {
  const it = await signalled(`const { exit } = process; ${PLAN} stay();
    process.on('SIGTERM', function ownStop() { exit.call(process, 2); }); say('ready');`);
  assert.equal(it.status, 2, describe(it));
  assert.equal(it.hook('flush').outcome, 'skipped');
  assert.match(it.report.warnings.join(), /left while the plan ran, by process\.exit at process\.ownStop .*script-\d+\.cjs:\d+/, describe(it));
});

test('uninstall gives process.exit back', async () => {
  const it = await ended(`const { exit } = process; const gs = install({ exit: 'manual' }); gs.uninstall();
    const other = install(); other.uninstall(); say(process.exit === exit);`);
  assert.deepEqual(it.lines, ['true'], describe(it));
});

const CLOSES = `
  const server = require('node:http').createServer((q, a) => a.end('ok')); gs.http(server);
  stay(); server.listen(0, '127.0.0.1', () => say('ready'));`;

test('the status of an exit when the server has closed: a callback, a listener, later; also where nothing else keeps the loop', async () => {
  const stops = [
    `process.on('SIGTERM', () => server.close(() => process.exit(7)));`,
    `process.on('SIGTERM', () => server.close()); server.on('close', () => process.exit(7));`,
    `process.on('SIGTERM', () => server.close(() => setTimeout(() => process.exit(7), 300)));`,
    `process.on('SIGTERM', async () => { await new Promise((done) => server.close(done)); process.exit(7); });`,
  ];
  const variants = stops.map((stop) => CLOSES + stop);
  variants.push(CLOSES.replace('stay();', '') + stops[0]);
  const all = await Promise.all(variants.map((script) => signalled(`${PLAN.replace('sleep(100)', '{}')} ${script}`)));
  for (const [i, it] of all.entries()) {
    assert.equal(it.status, 7, `${variants[i]} ${describe(it)}`);
    assert.ok(it.hook('flush').outcome === 'ok' && it.at - it.killedAt < 3000, `${it.at - it.killedAt} ms ${describe(it)}`);
  }
});

test('the same with leave: at_once, and inside an own async context', async () => {
  const it = await signalled(`const gs = install({ grace: '6s', leave: 'at_once' }); ${CLOSES}
    const own = new (require('node:async_hooks').AsyncLocalStorage)();
    process.on('SIGTERM', () => own.run('mine', () => server.close(() => { say(own.getStore()); process.exit(7); })));`);
  assert.deepEqual([it.status, it.lines], [7, ['mine']], describe(it));
});

test('an exit in what a hook left behind is the program’s own, while the plan runs and after it', async () => {
  for (const [rest, limit] of [[0, 300], [400, 100]]) {
    const it = await signalled(`${PLAN} gs.hook('drain', () => { setTimeout(() => process.exit(5), ${limit}); }, { name: 'starts' });
      gs.hook('close', () => sleep(${rest}), { name: 'pool' }); process.on('SIGTERM', () => {}); stay(); say('ready');`);
    assert.equal(it.status, 5, describe(it));
    assert.deepEqual(['starts', 'flush', 'pool'].map((n) => it.hook(n).outcome), ['ok', 'ok', 'ok'], describe(it));
    assert.ok(it.at - it.killedAt < 3000, `${it.at - it.killedAt} ms`);
  }
});
