// The adapter for servers, case by case: what a client sees while the server goes.
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import { describe, finish, start } from './child.mjs';
import { ask, GET, portOf, raw } from './clients.mjs';

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

/** A service: `/slow` takes `slow` ms, all else answers at once. `more` sees `gs`, `server`, `http`. */
const service = ({ slow = 300, options = '{}', install = '', more = '' } = {}) => `
  const http = require('node:http');
  const gs = install({ grace: '6s', ${install} });
  const server = http.createServer(async (req, res) => {
    if (req.url === '/count') return res.end(String(gs.inFlight));
    if (req.url === '/slow') await sleep(${slow});
    if (req.url === '/begun') { res.writeHead(200); res.write('first '); await sleep(${slow}); return res.end('last'); }
    res.end('done');
  });
  ${more}
  gs.http(server, ${options}).listen(0, '127.0.0.1', () => { say('port', server.address().port); say('ready'); });`;

async function served(options) {
  const it = start(service(options));
  await it.said();
  it.port = portOf(it);
  return it;
}

/** Until the service has reached `phase`; it says so with `more`. */
const ANNOUNCED = `gs.on('phase_start', (e) => say('phase', e.phase)); `;

test('announce: served, and told to leave; drain: 503; an idle connection is closed only after its window', async () => {
  const it = await served({ install: `announceDelay: '400ms'`, more: ANNOUNCED });
  const [busy, idle] = [await raw(it.port, GET()), await raw(it.port, GET())];
  await Promise.all([busy.hears('done'), idle.hears('done')]);
  assert.match(busy.heard, /Connection: keep-alive/);
  it.kill();
  await it.said('phase announce');
  const announced = await ask(it.port, '/');
  assert.deepEqual([announced.status, announced.text, announced.headers.connection], [200, 'done', 'close']);
  await it.said('phase drain');
  busy.heard = '';
  busy.socket.write(GET());
  await busy.hears('draining');
  assert.match(busy.heard, /^HTTP\/1.1 503 [^]*Retry-After: 1[^]*Connection: close/, busy.heard);
  const late = await ask(it.port, '/');
  assert.equal(late.status, 503);
  const t = performance.now();
  assert.equal((await idle.over).end, 'end', 'closed, not reset');
  assert.ok(performance.now() - t < 1500);
  assert.equal((await busy.over).end, 'end');
  await finish(it);
  assert.equal(it.status, 0, describe(it));
  const idleFor = it.hook('http').used_us / 1000;
  assert.ok(idleFor >= 490, `an idle connection had its window: ${idleFor} ms`);
});

test('the keep-alive race the other way: a request that begins in the window, in pieces, is answered', async () => {
  const it = await served({ more: ANNOUNCED });
  const client = await raw(it.port, GET());
  await client.hears('done');
  it.kill();
  await it.said('phase drain');
  await sleep(350);
  client.socket.write('GET / HTTP/1.1\r\n'); // half a head, when the window is nearly over
  await sleep(700);
  client.socket.write('Host: x\r\n\r\n');
  await client.hears('draining');
  assert.match(client.heard, /503/);
  assert.equal((await client.over).end, 'end');
  await finish(it);
  assert.equal(it.status, 0, describe(it));
});

test('requests in flight end with their answer, also those whose head was out and those pipelined', async () => {
  const it = await served({ slow: 500, more: ANNOUNCED });
  const [slow, begun, pipelined] = [await raw(it.port, GET('/slow')), await raw(it.port, GET('/begun')), await raw(it.port, GET('/slow') + GET('/slow'))];
  await begun.hears('first');
  await ask(it.port, '/'); // by now all have arrived
  it.kill();
  const all = await Promise.all([slow.over, begun.over, pipelined.over]);
  assert.deepEqual(all.map((c) => c.end), ['end', 'end', 'end']);
  assert.match(slow.heard, /200 OK[^]*Connection: close[^]*done/);
  assert.match(begun.heard, /first [^]*last/);
  assert.match(pipelined.heard, /^HTTP\/1.1 200/);
  await finish(it);
  assert.equal(it.status, 0, describe(it));
  assert.deepEqual(it.report.in_flight.at_drain_end, 0);
});

test('a large body of a request that is refused is read to its end: 503, not a reset', async () => {
  const it = await served({ more: ANNOUNCED });
  const idle = await raw(it.port); // keeps the drain open
  it.kill();
  await it.said('phase drain');
  const client = await raw(it.port, `POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4000000\r\n\r\n`);
  for (let i = 0; i < 40; i++) {
    client.socket.write(Buffer.alloc(100_000, 97));
    await sleep(2);
  }
  await client.hears('draining');
  client.socket.end();
  assert.equal((await client.over).end, 'end');
  idle.socket.destroy();
  await finish(it);
  assert.equal(it.status, 0, describe(it));
});

test('Expect: 100-continue, HEAD and an upgrade are refused in drain too', async () => {
  const it = await served({ more: `${ANNOUNCED} server.on('upgrade', (req, s) => s.end('HTTP/1.1 101 X\\r\\n\\r\\n')); server.on('checkContinue', (req, res) => { res.writeContinue(); server.emit('request', req, res); });` });
  const before = await raw(it.port, `POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n`);
  await before.hears('100 Continue');
  before.socket.end('{}');
  await before.hears('done');
  assert.equal((await ask(it.port, '/count')).text, '1', 'checkContinue and request count one, and it has ended');
  const hold = await raw(it.port);
  it.kill();
  await it.said('phase drain');
  const expect = await raw(it.port, `POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n`);
  await expect.hears('503');
  assert.doesNotMatch(expect.heard, /100 Continue/);
  const head = await raw(it.port, `HEAD / HTTP/1.1\r\nHost: x\r\n\r\n`);
  await head.over;
  assert.match(head.heard, /^HTTP\/1.1 503[^]*\r\n\r\n$/);
  const upgrade = await raw(it.port, `GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n`);
  await upgrade.over;
  assert.match(upgrade.heard, /^HTTP\/1.1 503/);
  for (const c of [expect, hold]) c.socket.destroy();
  await finish(it);
  assert.equal(it.status, 0, describe(it));
});

test('upgraded sockets are told, and closed at the soft deadline', async () => {
  const it = await served({
    install: `phases: { drain: { cap: '2500ms' } }`,
    options: `{ upgraded: (socket, { phase }) => socket.write('bye in ' + phase) }`,
    more: `server.on('upgrade', (req, s) => s.write('HTTP/1.1 101 Switching\\r\\n\\r\\n'));`,
  });
  const client = await raw(it.port, `GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n`);
  await client.hears('101');
  it.kill();
  await client.hears('bye in drain');
  const t = performance.now();
  assert.equal((await client.over).end, 'end');
  assert.ok(performance.now() - t > 500, 'not before the soft deadline');
  await finish(it);
  assert.equal(it.status, 0, describe(it));
});

test('requests that do not end are cut at the hard deadline, and that is told', async () => {
  const it = await served({ slow: 60_000, install: `phases: { drain: { cap: '1s' } }` });
  const client = await raw(it.port, GET('/slow'));
  await ask(it.port, '/');
  it.kill();
  await client.over;
  await finish(it);
  assert.equal(it.status, 1, describe(it));
  const { outcome, message } = it.hook('http');
  assert.deepEqual([outcome, message], ['failed', '1 requests in flight were cut when the time of drain was over']);
});

test('an upgraded socket whose client does not answer the FIN is no request that was cut', async () => {
  const it = await served({
    install: `phases: { drain: { cap: '1500ms' } }`,
    more: `server.on('upgrade', (req, s) => s.write('HTTP/1.1 101 Switching\\r\\n\\r\\n'));`,
  });
  const client = connect({ port: it.port, host: '127.0.0.1', allowHalfOpen: true });
  client.on('error', () => {}).write('GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n');
  await new Promise((done) => client.once('data', done));
  it.kill();
  await finish(it);
  client.destroy();
  assert.equal(it.status, 0, describe(it));
});

test('a client that goes away, and one that never asks, hold nothing', async () => {
  const it = await served({ slow: 60_000 });
  const [gone, silent] = [await raw(it.port, GET('/slow') + GET('/slow')), await raw(it.port)];
  await ask(it.port, '/');
  gone.socket.destroy();
  await sleep(50);
  it.kill();
  assert.equal((await silent.over).end, 'end');
  await finish(it);
  assert.equal(it.status, 0, describe(it));
  assert.ok(it.at - it.killedAt < 2500, `${it.at - it.killedAt} ms`);
});

test("a listener of the program's own that closes the server at the signal loses nothing either", async () => {
  const it = await served({ install: `announceDelay: '1400ms'`, more: `${ANNOUNCED} process.on('SIGTERM', () => server.close(() => say('closed in', gs.phase)));` });
  it.kill();
  await it.said('phase announce');
  await sleep(50);
  assert.equal((await ask(it.port, '/')).status, 200, 'still listening in announce');
  await finish(it);
  assert.equal(it.status, 0, describe(it));
  assert.match(it.stdout, /phase drain\n[^]*closed in/, describe(it));
});

test('the accept queue is empty before the listener is closed: a blocked loop resets nobody', async () => {
  const it = await served({ more: `${ANNOUNCED} gs.hook('drain', () => block(700), { name: 'blocker' });` });
  it.kill();
  await it.said('phase drain');
  // The loop is blocked: these wait in the queue of the kernel until it comes back, when no window is left to them.
  const waiting = await Promise.all(Array.from({ length: 20 }, () => raw(it.port, GET())));
  const ends = await Promise.all(waiting.map((c) => c.over));
  assert.deepEqual(new Set(ends.map((c) => `${/^HTTP\/1.1 (\d+)/.exec(c.heard)?.[1]} ${c.end}`)), new Set(['503 end']));
  await finish(it);
  assert.equal(it.status, 0, describe(it));
});

test('probes: readiness turns red at once, liveness stays, and neither is work', async () => {
  const it = await served({ slow: 500, options: `{ ready: '/readyz', live: '/livez' }`, install: `announceDelay: '300ms'`, more: ANNOUNCED });
  const slow = await raw(it.port, GET('/slow'));
  assert.deepEqual(await Promise.all(['/readyz', '/livez'].map(async (p) => (await ask(it.port, p)).status)), [200, 200]);
  it.kill();
  await it.said('phase announce');
  assert.deepEqual(await Promise.all(['/readyz', '/livez', '/'].map(async (p) => (await ask(it.port, p)).status)), [503, 200, 200]);
  await it.said('phase drain');
  assert.equal((await ask(it.port, '/livez')).status, 200);
  await slow.over;
  await finish(it);
  assert.equal(it.status, 0, describe(it));
});

test('a framework whose writeHead answers nothing (restify) survives probes and refusals', async () => {
  const it = await served({
    options: `{ ready: '/readyz', live: '/livez' }`,
    install: `announceDelay: '300ms'`,
    more: `${ANNOUNCED}
      const { writeHead, end } = http.ServerResponse.prototype;
      http.ServerResponse.prototype.writeHead = function (...args) { writeHead.apply(this, args); };
      http.ServerResponse.prototype.end = function (...args) { end.apply(this, args); };`,
  });
  const hold = await raw(it.port);
  assert.deepEqual(await Promise.all(['/readyz', '/livez'].map(async (p) => (await ask(it.port, p)).status)), [200, 200]);
  it.kill();
  await it.said('phase announce');
  assert.equal((await ask(it.port, '/readyz')).status, 503);
  await it.said('phase drain');
  assert.deepEqual([(await ask(it.port, '/')).status, (await ask(it.port, '/livez')).status], [503, 200]);
  hold.socket.destroy();
  await finish(it);
  assert.equal(it.status, 0, describe(it));
});

test('http() answers the server, takes it once, and refuses what is none', async () => {
  const it = await served({
    more: `say(gs.http(server) === server, gs.serving, gs.plan().phases[1].hooks);
      for (let i = 0; i < 20; i++) gs.http(http.createServer());
      for (const x of [undefined, {}, () => {}, new (require('node:events'))()]) tell(() => gs.http(x));`,
  });
  it.kill();
  await finish(it);
  assert.equal(it.status, 0, describe(it));
  const lines = it.lines.filter((l) => !l.startsWith('port'));
  assert.match(lines[0], /^true true 2$/);
  assert.ok(lines.slice(1).every((l) => /GraceshutError bad_value .*http\(\) takes a server/.test(l)), describe(it));
  assert.equal(lines.length, 5);
  assert.doesNotMatch(it.stderr, /Warning/, 'twenty servers that never listened are no leak and hold nothing');
});

test('a framework is taken for the server it shows; a server by what it can do, of whatever class', async () => {
  const it = await served({
    more: `
      const shown = [{ server: http.createServer() }, { listener: http.createServer() }];
      for (const x of shown) say(gs.http(x) === x, Object.hasOwn(x.server ?? x.listener, 'emit'));
      class Foreign extends require('node:events') { listen() { return this; } close() {} address() { return null; } }
      const foreign = new Foreign();
      say(gs.http(foreign) === foreign);
`,
  });
  it.kill();
  await finish(it);
  assert.equal(it.status, 0, describe(it));
  assert.deepEqual(it.lines.filter((l) => !l.startsWith('port')), ['true true', 'true true', 'true']);
});

test('uninstall lets the server go; wrong options are named', async () => {
  const it = await served({
    install: `exit: 'manual'`,
    more: `
      tell(() => gs.http(server, { redy: '/' })); tell(() => gs.http(server, { window: -1 })); tell(() => gs.http(server, null));
      process.on('SIGTERM', async () => {
        await gs.wait(); gs.uninstall();
        say(server.emit === require('node:events').prototype.emit, server.close === http.Server.prototype.close, server.listening);
        server.listen(0, '127.0.0.1', async () => {
          const { status } = await fetch('http://127.0.0.1:' + server.address().port, { headers: { connection: 'close' } });
          say(status); server.close();
        });
      });`,
  });
  it.kill();
  await finish(it);
  assert.equal(it.status, 0, describe(it));
  const lines = it.lines.filter((l) => !l.startsWith('port'));
  assert.match(lines[0], /bad_config .*unknown key "redy" \(http\(\) has name, timeout, ready, live, window, upgraded, endStreamsAfter\)/);
  assert.match(lines[1], /bad_time .*window is a number of milliseconds, not -1/);
  assert.match(lines[2], /bad_value .*options of http\(\) have to be an object, not null/);
  assert.deepEqual(lines.slice(3), ['true true false', '200']);
});

test('a stop of its own that resets newcomers finds none to reset: its close() is done at once, also in announce', async () => {
  for (const install of ['', `announceDelay: '3s'`]) {
    const it = await served({ install, more: `let over = false;
      const mine = new Set();
      server.on('connection', (socket) => (over ? socket.destroy() : mine.add(socket)));
      server.on('request', (req, res) => res.on('finish', () => over && req.socket.destroy()));
      process.on('SIGTERM', () => { over = true; server.close(() => say('closed')); say('stopping'); });` });
    const slow = await raw(it.port, GET('/begun'));
    await slow.hears('first');
    it.kill();
    await it.said('stopping');
    const ends = [];
    const come = async () => {
      while (!it.stdout.includes('closed')) {
        const end = await ask(it.port, '/').then((r) => r.status, (e) => e.code);
        ends.push(end);
        if (end === 'ECONNREFUSED') return;
      }
    };
    await Promise.all([come(), come(), come()]);
    await slow.hears('last');
    await it.said('closed');
    const closedAfter = performance.now() - it.killedAt;
    await finish(it);
    assert.equal(it.status, 0, describe(it));
    assert.ok(!ends.includes('ECONNRESET') && ends.includes('ECONNREFUSED'), ends.join());
    assert.ok(closedAfter < 2500, `${closedAfter} ms`);
  }
});

test('a stop of its own that comes after ours is no error for it', async () => {
  const it = await served({ more: `process.on('SIGTERM', () => setTimeout(() => server.close((e) => { say(e ? e.code : 'closed'); process.exit(e ? 1 : 3); }), 900));` });
  it.kill();
  await finish(it);
  assert.deepEqual([it.status, it.lines.at(-1)], [3, 'closed'], describe(it));
});
