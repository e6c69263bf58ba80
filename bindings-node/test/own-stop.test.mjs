// Stops of the program's own beside gs.http(), as stoppable and http-terminator have them: what clients lose by them, and what is told.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { describe, finish, folder, start } from './child.mjs';
import { GET, portOf, raw } from './clients.mjs';

/** `stop` runs at the signal and sees `mine`, the sockets, and `idle(socket)`. `/slow` never answers by itself in less than 1.5 s. */
const service = ({ stop = '', more = '', make = 'http.createServer(', event = 'connection', before = false }) => `
  const http = require('node:http');
  const gs = install({ grace: '6s' });
  gs.on('phase_start', (e) => say('phase', e.phase));
  const server = ${make}async (req, res) => {
    if (req.url === '/slow') { say('slow'); await sleep(1500); }
    res.end('done');
  });
  const mine = new Set();
  const idle = (socket) => !socket._httpMessage;
  let over = false;
  ${before ? '' : 'gs.http(server);'}
  server.on('${event}', (socket) => {
    if (over) return socket.destroy();
    mine.add(socket);
    socket.on('close', () => mine.delete(socket));
  });
  ${before ? 'gs.http(server);' : ''}
  ${more}
  process.once('SIGTERM', () => { over = true; ${stop}; say('stopping'); });
  server.listen(0, '127.0.0.1', () => { say('port', server.address().port); say('ready'); });`;

async function served(options) {
  const it = start(service(options));
  await it.said();
  it.port = portOf(it);
  return it;
}

const STOPS = {
  end: `server.close(() => say('closed')); for (const s of mine) if (idle(s)) s.end()`,
  destroy: `server.close(() => say('closed')); for (const s of mine) if (idle(s)) s.destroy()`,
  closeIdleConnections: `server.close(() => say('closed')); server.closeIdleConnections()`,
};

for (const [name, stop] of Object.entries(STOPS)) {
  test(`a request that is on its way when the program ends idle connections (${name}) is answered`, async () => {
    for (const before of [false, true]) {
      const it = await served({ stop, before });
      const client = await raw(it.port, GET());
      await client.hears('done');
      client.heard = '';
      it.kill();
      await it.said('stopping');
      client.socket.write(GET());
      await client.over;
      assert.match(client.heard, /^HTTP\/1.1 (200|503) [^]*Connection: close/, `${client.end} ${describe(it)}`);
      assert.equal(client.end, 'end');
      await finish(it);
      assert.equal(it.status, 0, describe(it));
      assert.ok(it.lines.includes('closed'), describe(it));
      assert.ok(it.at - it.killedAt < 2000, `${it.at - it.killedAt} ms`);
    }
  });
}

test('an idle connection that the program has ended is closed after its window, in order', async () => {
  const it = await served({ stop: STOPS.destroy });
  const client = await raw(it.port, GET());
  await client.hears('done');
  it.kill();
  assert.equal((await client.over).end, 'end');
  await finish(it);
  assert.deepEqual([it.status, it.report.outcome], [0, 'clean'], describe(it));
});

test('a newcomer that the program destroys is answered', async () => {
  for (const before of [false, true]) {
    const it = await served({ before });
    it.kill();
    await it.said('stopping');
    const client = await raw(it.port, GET());
    await client.over;
    assert.match(client.heard, /^HTTP\/1.1 (200|503) [^]*Connection: close/, `${client.end} ${describe(it)}`);
    await finish(it);
    assert.equal(it.status, 0, describe(it));
  }
});

const CUTS = {
  'destroys what is left after a while': `setTimeout(() => { for (const s of mine) s.destroy(); server.close(() => say('closed')); }, 300)`,
  'closes all connections': `setTimeout(() => { server.closeAllConnections(); server.close(); }, 300)`,
};

for (const [name, stop] of Object.entries(CUTS)) {
  test(`requests that the program's own stop cuts are told: it ${name}`, async () => {
    const it = await served({ stop });
    const slow = await Promise.all([1, 2, 3].map(() => raw(it.port, GET('/slow'))));
    await it.said('slow\nslow\nslow');
    it.kill();
    await Promise.all(slow.map((c) => c.over));
    assert.ok(slow.every((c) => c.heard === ''), describe(it));
    await finish(it);
    assert.deepEqual([it.status, it.report.outcome], [1, 'degraded'], describe(it));
    assert.match(it.hook('http').message, /^3 requests in flight were cut by the program's own stop/);
  });
}

test('clients that hang up, and connections that fail, are not counted', async () => {
  const it = await served({ more: `server.on('clientError', (error, socket) => socket.destroy());` });
  const [fin, rst, broken] = await Promise.all([1, 2, 3].map(() => raw(it.port, GET('/slow'))));
  await it.said('slow\nslow\nslow');
  it.kill();
  await it.said('phase drain');
  fin.socket.end();
  rst.socket.resetAndDestroy();
  broken.socket.write('no request at all\r\n\r\n');
  await Promise.all([fin.over, rst.over, broken.over]);
  await finish(it);
  assert.deepEqual([it.status, it.report.outcome], [0, 'clean'], describe(it));
});

test('nor is a time-out, nor a request that its handler gives up', async () => {
  const it = await served({ more: `
    server.removeAllListeners('request').on('request', (req, res) => {
      say('asked');
      if (req.url === '/late') req.socket.setTimeout(500);
      else gs.draining.then(() => res.destroy());
    });` });
  const both = await Promise.all([raw(it.port, GET('/late')), raw(it.port, GET('/given-up'))]);
  await it.said('asked\nasked');
  it.kill();
  await Promise.all(both.map((c) => c.over));
  await finish(it);
  assert.deepEqual([it.status, it.report.outcome], [0, 'clean'], describe(it));
});

test('HTTPS: the same', async () => {
  const key = join(folder, 'own-stop-key.pem');
  const cert = join(folder, 'own-stop-cert.pem');
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', key, '-out', cert, '-days', '2', '-subj', '/CN=x'], { stdio: 'ignore', timeout: 20_000 });
  const make = `require('node:https').createServer({ key: require_fs.readFileSync('${key}'), cert: require_fs.readFileSync('${cert}') }, `;
  const tls = await import('node:tls');
  const secure = (port, first) =>
    new Promise((done) => {
      const client = { heard: '', end: null };
      client.socket = tls.connect({ port, host: '127.0.0.1', ca: readFileSync(cert), checkServerIdentity: () => undefined }, () => {
        client.socket.write(first);
        done(client);
      });
      client.socket.on('data', (d) => (client.heard += d)).on('end', () => (client.end = 'end')).on('error', (e) => (client.end ??= e.code));
      client.over = new Promise((over) => client.socket.on('close', () => over(client)));
    });
  const late = CUTS['destroys what is left after a while'];
  for (const [stop, event, cut] of [[STOPS.end, 'secureConnection', 0], [late, 'secureConnection', 1], [late, 'connection', 1], ['', 'secureConnection', 0]]) {
    const it = await served({ stop, event, make });
    const [idle, slow] = await Promise.all([secure(it.port, GET()), secure(it.port, GET('/slow'))]);
    await it.said('slow');
    it.kill();
    await it.said('stopping');
    if (stop === STOPS.end) {
      idle.socket.write(GET());
      await idle.over;
      assert.match(idle.heard, /Connection: close/, describe(it));
    } else if (stop === '') {
      const { socket } = slow;
      socket.destroy();
    }
    await slow.over;
    await finish(it);
    assert.equal(it.status, cut, describe(it));
    if (cut) assert.match(it.hook('http').message, /^1 requests in flight were cut by the program's own stop/);
  }
});

test('a client that never asks is not held for longer than its window', async () => {
  const it = await served({ stop: STOPS.destroy });
  const silent = connect(it.port, '127.0.0.1');
  await new Promise((done) => silent.once('connect', done));
  silent.on('error', () => {});
  it.kill();
  await finish(it);
  assert.equal(it.status, 0, describe(it));
  assert.ok(it.at - it.killedAt < 3000, `${it.at - it.killedAt} ms`);
});
