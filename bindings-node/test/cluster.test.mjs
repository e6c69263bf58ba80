// node:cluster: each process installs for itself; the primary tells its workers.
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import { describe, finish, signalled, start } from './child.mjs';
import { GET, portOf, raw } from './clients.mjs';

const script = (primary, worker) => `
  const cluster = require('node:cluster');
  const gs = install({ grace: '6s' });
  if (cluster.isPrimary) {
    let up = 0;
    for (let i = 0; i < 2; i++) {
      cluster.fork({ GRACESHUT_REPORT: 'none' }).on('message', () => ++up === 2 && say('ready')).on('exit', (code, signal) => say('left', code, signal));
    }
    ${primary}
  } else {
    process.on('SIGTERM', () => {});
    gs.hook('flush', async () => { await sleep(100); say('worker flush', gs.reason.signal); });
    process.send('up');
    ${worker}
  }`;

test('gs.cluster(): TERM to the primary alone reaches the workers, and the primary leaves last', async () => {
  const it = await signalled(script(`gs.cluster(); gs.hook('flush', () => say('primary flush'), { name: 'p' });`, ''));
  assert.equal(it.status, 0, describe(it));
  assert.deepEqual(it.lines.slice(0, 4).toSorted(), ['left 0 ', 'left 0 ', 'worker flush TERM', 'worker flush TERM'].toSorted(), describe(it));
  assert.equal(it.lines[4], 'primary flush');
  assert.equal(it.hook('cluster').outcome, 'ok');
});

test('a worker that cannot leave in time is told of: degraded', async () => {
  const it = await signalled(script(`gs.cluster({ timeout: 500 }); gs.hook('final', () => { for (const w of Object.values(cluster.workers)) w.process.kill('SIGKILL'); });`, `gs.hook('drain', () => new Promise(() => {}));`));
  assert.equal(it.status, 1, describe(it));
  const waiting = it.report.phases.find((p) => p.name === 'drain').hooks.find((h) => h.name === 'cluster');
  assert.notEqual(waiting.outcome, 'ok', describe(it));
});

test('without gs.cluster() and without hooks a worker stops as any process: when its primary is gone its native hooks run', async () => {
  const it = await signalled(script(`gs.hook('drain', () => {});`, `gs.execHook('flush', ['sh', '-c', 'echo native >&2']);`));
  assert.equal(it.status, 0, describe(it));
  assert.equal((it.stderr.match(/^native$/gm) ?? []).length, 2, describe(it));
});

/** Two workers that serve; `primary` and `worker` see `cluster`, `gs`, and the worker its `server`. */
const served = async ({ primary = '', worker = '', env = {} } = {}) => {
  const it = start(`
    const cluster = require('node:cluster');
    const http = require('node:http');
    const gs = install({ grace: '6s' });
    if (cluster.isPrimary) {
      let up = 0;
      cluster.on('listening', (_, { port }) => ++up === 2 && (say('port', port), say('ready')));
      cluster.on('exit', (w, code, signal) => say('left', code, signal));
      cluster.on('message', (w, m) => say('message', JSON.stringify(m)));
      for (let i = 0; i < 2; i++) cluster.fork({ GRACESHUT_REPORT: 'none' });
      ${primary}
    } else {
      const server = http.createServer((req, res) => res.end('done'));
      process.on('message', (m) => say('message', JSON.stringify(m)));
      ${worker || 'gs.http(server);'}
      server.listen(0, '127.0.0.1');
    }`, { env });
  await it.said();
  it.port = portOf(it);
  return it;
};

/** Clients that come again as soon as they were answered, until they are refused: how many answers they had, and how each of them ended. */
function crowd(port, size = 8) {
  const they = { answers: 0, ends: {} };
  const once = () =>
    new Promise((done) => {
      let heard = '';
      const socket = connect(port, '127.0.0.1', () => socket.write(GET('/', 'Connection: close\r\n')));
      socket.on('data', (d) => (heard += d)).on('error', (e) => done(e.code === 'ECONNREFUSED' ? e.code : `lost by ${e.code}`));
      socket.on('end', () => done(heard ? 'end' : 'lost by an end'));
      socket.on('close', () => heard && they.answers++);
    });
  const come = async () => {
    let end;
    while ((end = await once()) !== 'ECONNREFUSED') if (end !== 'end') they.ends[end] = (they.ends[end] ?? 0) + 1;
    they.ends[end] = (they.ends[end] ?? 0) + 1;
  };
  they.gone = Promise.all(Array.from({ length: size }, come));
  return they;
}

async function crowded(options) {
  const it = await served(options);
  const they = crowd(it.port);
  while (they.answers < 50) await new Promise((done) => setTimeout(done, 5));
  it.kill();
  await they.gone;
  await finish(it);
  return { it, they };
}

test('the listener, which is the primary\u2019s, is closed over an empty queue: a crowd that comes again at once meets no reset', async () => {
  for (let round = 0; round < 4; round++) {
    const { it, they } = await crowded({ primary: 'gs.cluster();' });
    assert.deepEqual(they.ends, { ECONNREFUSED: 8 }, describe(it));
    assert.equal(it.status, 0, describe(it));
    assert.deepEqual(it.lines.filter((l) => !l.startsWith('port')), ['left 0 ', 'left 0 '], describe(it)); // and no message to the program
  }
});

test('also where gs.listener() is what a worker has, and where its program stops in its own way', async () => {
  const own = `const mine = new Set();
    let over = false;
    server.on('connection', (socket) => (over ? socket.destroy() : mine.add(socket)));
    process.on('SIGTERM', () => { over = true; server.close(() => say('closed')); });
    gs.http(server);`;
  for (const worker of ['gs.listener(server);', own]) {
    const { it, they } = await crowded({ primary: 'gs.cluster();', worker });
    assert.deepEqual(they.ends, { ECONNREFUSED: 8 }, describe(it));
    assert.equal(it.status, 0, describe(it));
    assert.equal(it.lines.filter((l) => l === 'left 0 ').length, 2, describe(it));
  }
});

test('a worker that is killed while the others wait for it, and programs that fork anew, hold nothing', async () => {
  const primary = `gs.cluster(); cluster.on('exit', () => cluster.fork({ GRACESHUT_REPORT: 'none' }));
    gs.draining.then(() => setTimeout(() => Object.values(cluster.workers)[0].process.kill('SIGKILL'), 50));`;
  const it = await served({ primary });
  it.kill();
  await finish(it);
  assert.ok(it.at - it.killedAt < 3500, `${it.at - it.killedAt} ms`);
  assert.equal(it.status, 0, describe(it));
});

test('without gs.cluster() a worker closes as it would without having asked, soon; one that is told alone closes at once', async () => {
  for (const primary of ['', 'gs.cluster();']) {
    const it = await served({ primary: `${primary} process.on('SIGUSR2', () => { say('told'); Object.values(cluster.workers)[0].process.kill('SIGTERM'); });` });
    const began = performance.now();
    it.kill('SIGUSR2');
    await it.said('left 0 ');
    assert.ok(performance.now() - began < 2000, `${performance.now() - began} ms`);
    const client = await raw(it.port, GET('/', 'Connection: close\r\n'));
    await client.over;
    assert.match(client.heard, /200 OK/);
    it.kill();
    await finish(it);
    assert.equal(it.status, 0, describe(it));
  }
});
