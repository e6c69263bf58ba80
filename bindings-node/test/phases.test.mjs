import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describe, ended, signalled } from './child.mjs';

test('phases run in order under TERM, hooks sync and async, CJS', async () => {
  const it = await signalled(`
    const gs = install({ grace: '10s' });
    for (const phase of ['final', 'close', 'flush', 'drain', 'announce']) {
      gs.hook(phase, async () => { await sleep(20); say('end', phase); }, { name: phase + '/async' });
      gs.hook(phase, () => say('begin', phase), { name: phase + '/sync' });
    }
    stay();
    say('ready');`);
  assert.equal(it.status, 0, describe(it));
  assert.equal(it.report.outcome, 'clean');
  assert.deepEqual([it.report.host.language, it.report.reason.signal], ['node', 'TERM']);
  const seen = it.lines.map((l) => l.split(' ')[1]);
  assert.deepEqual([...new Set(seen)], ['announce', 'drain', 'flush', 'close', 'final'], describe(it));
  assert.equal(seen.length, 10);
});

test('the same from ESM', async () => {
  const it = await signalled(
    `import graceshut, { install } from 'graceshut';
    const gs = install({ grace: 5000 });
    if (graceshut.install !== install) throw new Error('two faces, two installs');
    gs.hook('flush', ({ phase, name, reason }) => say(phase, name, reason.signal, reason.senderPid === process.ppid), { name: 'save' });
    stay();
    const { exitCode, report } = await (say('ready'), gs.wait());
    say('waited', exitCode, report.outcome, gs.state);`,
    { esm: true },
  );
  assert.equal(it.status, 0, describe(it));
  assert.deepEqual(it.lines, ['flush save TERM true', 'waited 0 clean stopped']);
});

test('the context of a hook', async () => {
  const it = await signalled(`
    const gs = install({ grace: '10s' });
    gs.on('progress', (e) => say('progress', e.hook, e.done, e.total));
    gs.on('log', (e) => say('log', e.hook, e.message));
    gs.hook('drain', async function worker({ signal, remaining, extend, log, progress, ...rest }) {
      say(typeof signal.aborted, remaining > 500 && remaining <= 1000, Object.keys(rest).join());
      say('granted', extend(500) === 500);
      for (const bad of [NaN, -1, Infinity, 1e300, '5', undefined]) tell(() => extend(bad));
      log('half way'); progress(1, 2);
      say(rest.deadline - performance.now() > 0, rest.cancelled, rest.abandoned.length);
    }, { timeout: 1000 });
    stay();
    say('ready');`);
  assert.equal(it.status, 0, describe(it));
  assert.equal(it.lines[0], 'boolean true name,phase,reason,deadline,cancelled,abandoned');
  assert.equal(it.lines[1], 'granted true');
  assert.equal(it.lines.filter((l) => l.startsWith('GraceshutError bad_time ERR_GRACESHUT_BAD_TIME')).length, 6);
  for (const line of ['log worker half way', 'progress worker 1 2', 'true false 0']) assert.ok(it.lines.includes(line), describe(it));
});

test('the signal aborts at the soft deadline; AbortError is cancelled, going on is abandoned', async () => {
  const it = await signalled(`
    const gs = install({ grace: '10s' });
    gs.hook('drain', async ({ signal }) => { await sleep(60_000, signal); }, { name: 'polite', timeout: 1500 });
    gs.hook('drain', async ({ signal }) => { await sleep(60_000); }, { name: 'deaf', timeout: 1500 });
    gs.hook('drain', async ({ signal }) => { try { await sleep(60_000, signal); } catch { await sleep(30); } }, { name: 'late', timeout: 1500 });
    gs.hook('flush', ({ abandoned }) => say('still', abandoned.join()));
    say('ready'); stay();`);
  assert.equal(it.status, 1, describe(it));
  assert.deepEqual(['polite', 'deaf', 'late'].map((n) => it.hook(n).outcome), ['cancelled', 'abandoned', 'ok'], describe(it));
  assert.equal(it.hook('late').late, true);
  const ms = it.hook('polite').used_us / 1000;
  assert.ok(ms >= 1190 && ms < 1450, `soft deadline of 1500 ms at 1200 ms, was ${ms}`);
  assert.deepEqual(it.lines, ['still deaf']);
});

test('a throw, a rejection and strange values are failures in their own words', async () => {
  const it = await signalled(`
    const gs = install();
    gs.hook('drain', () => { throw new Error('sync boom'); }, { name: 'a' });
    gs.hook('drain', async () => { await null; throw new TypeError('async boom'); }, { name: 'b' });
    gs.hook('drain', () => Promise.reject(7), { name: 'c' });
    gs.hook('drain', () => { throw { toString() { throw 1; } }; }, { name: 'd' });
    gs.hook('drain', () => ({ then() { throw new Error('thenable boom'); } }), { name: 'e' });
    gs.hook('drain', () => new Promise(() => { setTimeout(() => { throw new Error('callback boom'); }, 5); }), { name: 'f' });
    gs.hook('drain', () => Promise.reject(), { name: 'g', optional: true });
    gs.hook('drain', () => { throw new Error('\\ud800'); }, { name: 'h' });
    gs.hook('final', () => say('final ran'));
    say('ready'); stay();`);
  assert.equal(it.status, 1, describe(it));
  const said = Object.fromEntries([...'abcdefgh'].map((n) => [n, it.hook(n).message]));
  assert.ok([...'abcdefgh'].every((n) => it.hook(n).outcome === 'failed'), describe(it));
  assert.deepEqual(said, {
    a: 'sync boom',
    b: 'TypeError: async boom',
    c: '7',
    d: 'an error that cannot be told',
    e: 'thenable boom',
    f: 'callback boom',
    g: 'undefined',
    h: '\ufffd',
  });
  assert.deepEqual(it.lines, ['final ran']);
});

test('remove, after, optional, registering while stopping', async () => {
  const it = await signalled(`
    const gs = install();
    const gone = gs.hook('flush', () => say('never'), { name: 'gone' });
    say(gone.remove(), gone.remove());
    gs.hook('flush', () => say('second'), { name: 'second', after: 'first' });
    gs.hook('flush', async () => { await sleep(10); say('first'); }, { name: 'first' });
    gs.hook('flush', () => { throw new Error('x'); }, { name: 'opt', optional: true });
    const h = gs.hook('drain', () => {
      say(h.remove());
      gs.hook('close', () => say('added later'), { name: 'later' });
      tell(() => gs.hook('announce', () => {}, { name: 'too late' }));
    }, { name: 'd' });
    say('ready'); stay();`);
  assert.equal(it.status, 0, describe(it));
  assert.deepEqual(it.lines.map((l) => l.split('|')[0].trim()), [
    'removed done',
    'running',
    'GraceshutError too_late ERR_GRACESHUT_TOO_LATE',
    'first',
    'second',
    'added later',
  ]);
});

test('hooks that need no JavaScript', async () => {
  const it = await signalled(`
    const http = require('node:http');
    const gs = install();
    const server = http.createServer((q, r) => { say(q.method, q.url); r.statusCode = q.url === '/gone' ? 404 : 200; r.end(); });
    server.listen(0, '127.0.0.1', () => {
      const at = 'http://127.0.0.1:' + server.address().port;
      gs.httpHook('announce', at + '/deregister');
      gs.httpHook('announce', { url: new URL(at + '/gone'), method: 'DELETE', accept: [404] }, { name: 'gone' });
      gs.delayHook('announce', 20);
      gs.execHook('flush', ['sh', '-c', 'echo executed']);
      gs.execHook('flush', { argv: ['sh', '-c', 'exit 3'] }, { name: 'bad', optional: true });
      gs.inflightHook('drain', 'uploads', { name: 'uploads' });
      const other = require('node:child_process').spawn('sleep', ['60']);
      other.on('exit', (c, s) => say('sleep ended by', s));
      gs.signalHook('close', { pid: other.pid, signal: 'TERM' }, { name: 'sleep' });
      gs.hook('final', () => new Promise((done) => other.signalCode ? done() : other.on('exit', done)), { name: 'reap' });
      say('ready');
    });`);
  assert.equal(it.status, 0, describe(it));
  assert.deepEqual(it.lines.toSorted(), ['DELETE /gone', 'POST /deregister', 'executed', 'sleep ended by SIGTERM'].toSorted(), describe(it));
  const kinds = it.report.phases.flatMap((p) => p.hooks.map((h) => `${h.kind} ${h.outcome}`));
  assert.ok(['http ok', 'delay ok', 'exec ok', 'exec failed', 'inflight ok', 'signal ok', 'function ok'].every((k) => kinds.includes(k)), kinds.join());
});

test('events come in order; a listener that throws is told and keeps nothing back', async () => {
  const it = await signalled(`
    const gs = install();
    const seen = [];
    gs.on('event', (e) => { seen.push(e.event + (e.phase ? ':' + e.phase : '')); });
    gs.once('phase_start', () => { throw new Error('listener boom'); });
    gs.hook('flush', () => {}, { name: 'f' });
    gs.stopping.then(() => say('stopping', gs.isStopping));
    gs.draining.then(() => say('draining', gs.isDraining));
    gs.wait().then(() => say(seen.filter((s) => /trigger|phase_start|finished/.test(s)).join(' ')));
    say('ready'); stay();`);
  assert.deepEqual(it.lines.slice(0, 2), ['stopping true', 'draining true'], describe(it));
  const order = it.lines[2].split(' ').filter((w) => w !== 'trigger');
  assert.deepEqual(order, ['phase_start:announce', 'phase_start:drain', 'phase_start:flush', 'phase_start:close', 'phase_start:final', 'finished']);
  assert.match(it.stderr, /listener boom/);
});

test('stop(), grace of its own, manual mode, reload', async () => {
  const it = await ended(`
    const gs = install({ exit: 'manual', grace: '4s' });
    let n = 0;
    gs.onReload(async () => { await sleep(5); say('reload', ++n); }, { name: 'conf' });
    gs.onReload(() => { throw new Error('bad conf'); }, { name: 'bad' });
    gs.on('reload', (e) => { if (e.outcome === 'failed') say(e.hook, e.message); if (e.outcome === 'done') next(); });
    gs.hook('drain', ({ reason, remaining }) => say(reason.kind, reason.message, remaining < 1000), { name: 'h' });
    const keep = stay();
    gs.reload();
    let step = 0;
    async function next() {
      if (++step === 1) return process.kill(process.pid, 'SIGHUP');
      if (step > 2) return;
      gs.stop('enough', { grace: 1000 });
      const { exitCode, report } = await gs.wait();
      say(exitCode, report.outcome, report.reason.message, gs.state);
      say(JSON.stringify(gs.report()) === JSON.stringify(report));
      gs.uninstall();
      clearInterval(keep);
      say(gs.state, current());
      const again = install({ exit: 'manual', grace: '9s' });
      say(again !== gs, again.state);
      again.uninstall();
    }`);
  assert.equal(it.status, 0, describe(it));
  assert.deepEqual(it.lines, [
    'reload 1', 'bad bad conf', 'reload 2', 'bad bad conf',
    'stop enough true', '0 clean enough stopped', 'true', 'idle ', 'true armed',
  ], describe(it));
});
