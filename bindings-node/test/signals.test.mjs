import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { describe, finish, signalled, start } from './child.mjs';

const HOOK = `gs.hook('flush', async () => { await sleep(50); say('hook'); }, { name: 'flush' });`;

test('a listener set before install keeps working', async () => {
  const it = await signalled(`
    process.on('SIGTERM', (name) => say('listener', name));
    const gs = install({ leave: 'at_once' }); ${HOOK} stay(); say('ready');`);
  assert.equal(it.status, 0, describe(it));
  assert.deepEqual(it.lines.toSorted(), ['hook', 'listener SIGTERM']);
  const { state, repairs } = it.report.handler.find((h) => h.signal === 'TERM');
  assert.deepEqual([state, repairs], ['ours', 0]);
});

test('a listener set after install keeps working, and ours too', async () => {
  const it = await signalled(`
    const gs = install({ leave: 'at_once' }); ${HOOK}
    process.once('SIGTERM', (name) => say('once', name));
    process.on('SIGTERM', (name) => say('on', name));
    stay(); say('ready');`);
  assert.equal(it.status, 0, describe(it));
  assert.deepEqual(it.lines.toSorted(), ['hook', 'on SIGTERM', 'once SIGTERM']);
  assert.equal(it.report.handler.find((h) => h.signal === 'TERM').state, 'ours');
});

test('the last listener removed leaves ours in place, before and after install, over and over', async () => {
  const it = await signalled(`
    const f = () => say('never');
    process.on('SIGTERM', f);
    const gs = install(); ${HOOK}
    process.off('SIGTERM', f);
    for (let i = 0; i < 100; i++) { process.on('SIGTERM', f); process.removeAllListeners('SIGTERM'); }
    stay(); say('ready');`);
  assert.equal(it.status, 0, describe(it));
  assert.deepEqual(it.lines, ['hook']);
});

test('a signal that nobody manages is untouched', async () => {
  const it = await signalled(`const gs = install(); ${HOOK} stay(); say('ready');`, { signal: 'SIGUSR2' });
  assert.equal(it.signal, 'SIGUSR2', describe(it));
  assert.equal(it.report, null);
});

test('a mapped signal stops', async () => {
  const it = await signalled(`const gs = install({ signals: { SIGUSR2: { action: 'stop', grace: '2s' }, HUP: 'ignore' } }); ${HOOK} stay(); process.kill(process.pid, 'SIGHUP'); say('ready');`, {
    signal: 'SIGUSR2',
  });
  assert.equal(it.status, 0, describe(it));
  assert.deepEqual([it.report.reason.signal, it.report.grace_us], ['USR2', 2_000_000]);
});

test('the second signal expedites, the third leaves at once', async () => {
  const it = start(`
    const gs = install({ grace: '20s' });
    gs.hook('drain', () => { say('draining'); return new Promise(() => {}); }, { name: 'stuck' });
    gs.hook('flush', () => say('flush ran'), { name: 'flush' });
    stay(); say('ready');`);
  await it.said();
  it.kill();
  await it.said('draining');
  setTimeout(() => it.kill(), 600); // duplicates within 500 ms are one press
  await finish(it);
  assert.equal(it.code, 143, describe(it));
  assert.equal(it.report.outcome, 'forced');
  assert.deepEqual(it.lines, ['draining', 'flush ran']);
});

test('a signal during a long start is kept', async () => {
  const it = start(`const gs = install(); say('ready'); block(700); ${HOOK} stay();`);
  await it.said();
  it.kill();
  await finish(it);
  assert.ok(it.report && it.report.reason.signal === 'TERM', describe(it));
});

test('handlers go back at uninstall', async () => {
  const it = await signalled(`
    const gs = install(); const mask = () => BigInt('0x' + /SigCgt:\\s*(\\w+)/.exec(require_fs.readFileSync('/proc/self/status'))[1]);
    say((mask() >> 14n) & 1n, mask() & 1n);
    gs.uninstall();
    say(mask() & 1n);
    stay(); say('ready');`);
  assert.equal(it.signal, 'SIGTERM', describe(it));
  assert.deepEqual(it.lines, ['1 1', '0']);
});

test('children inherit nothing: fork, spawn, cluster', async () => {
  const it = await signalled(`
    const cp = require('node:child_process');
    const gs = install(); ${HOOK}
    require_fs.writeFileSync('kid.cjs', "process.send(require('fs').readFileSync('/proc/self/status', 'utf8')); setInterval(() => {}, 1000)");
    const cluster = require('node:cluster');
    cluster.setupPrimary({ exec: 'kid.cjs' });
    const kids = [cp.fork('kid.cjs'), cluster.fork()];
    let n = 0;
    for (const k of kids) {
      k.on('message', (status) => {
        say(/SigBlk:\\s*0+$/m.test(status), /SigCgt:.*\\n/.exec(status)[0].trim().slice(-4, -3));
        if (++n === 2) for (const k of kids) (k.process ?? k).kill('SIGTERM');
      });
      k.on('exit', (code, signal) => { say("kid", code, signal); if (++n === 4) say('ready'); });
    }`);
  assert.equal(it.status, 0, describe(it));
  assert.deepEqual(it.lines.filter((l) => l.startsWith("kid")), ["kid  SIGTERM", "kid  SIGTERM"], describe(it));
  assert.deepEqual(it.lines.filter((l) => l.startsWith('true')).length, 2, describe(it));
});

test('the process as its parent sees it: nothing at require', async () => {
  const it = start(`say('ready'); stay();`);
  await it.said();
  const status = readFileSync(`/proc/${it.pid}/maps`, 'utf8');
  assert.ok(!status.includes('graceshut'), 'the addon is loaded at install, not before');
  it.kill();
  await finish(it);
  assert.equal(it.signal, 'SIGTERM');
});
