// Answers without an end of their own (spec 9.6): told at the start of drain, ended in order, clean.
import assert from 'node:assert/strict';
import http2 from 'node:http2';
import { test } from 'node:test';
import { describe, finish, start } from './child.mjs';
import { ask, GET, portOf, raw } from './clients.mjs';

const SSE = `{ 'Content-Type': 'text/event-stream' }`;
const service = (options, handler, make = `require('node:http').createServer`) => `
  const gs = install({ grace: '6s' });
  gs.on('phase_start', (e) => say('phase', e.phase));
  const server = ${make}(async (req, res) => { ${handler} });
  gs.http(server, ${options}).listen(0, '127.0.0.1', () => { say('port', server.address().port); say('ready'); });`;

async function served(...args) {
  const it = start(service(...args));
  await it.said();
  it.port = portOf(it);
  return it;
}

const TICKING = `res.writeHead(200, ${SSE}); setInterval(() => res.write('data: x\\n\\n'), 20);`;

test('a stream is ended by its last chunk after endStreamsAfter, though its handler goes on writing', async () => {
  const it = await served(`{ endStreamsAfter: '400ms' }`, TICKING);
  const client = await raw(it.port, GET());
  await client.hears('data: x');
  it.kill();
  await it.said('phase drain');
  const t = performance.now();
  assert.equal((await client.over).end, 'end', 'not reset');
  assert.match(client.heard, /\r\n0\r\n\r\n$/);
  assert.ok(performance.now() - t > 300, 'it had its time');
  await finish(it);
  assert.equal(it.status, 0, describe(it));
  assert.equal(it.report.outcome, 'clean');
  assert.ok(it.at - it.killedAt < 4000, `${it.at - it.killedAt} ms`);
  assert.doesNotMatch(it.stderr, /Error/);
});

test('without the option a stream is waited for and cut, as any request', async () => {
  const it = await served(`{}`, TICKING);
  const client = await raw(it.port, GET());
  await client.hears('data: x');
  it.kill();
  await finish(it);
  assert.notEqual(it.hook('http').outcome, 'ok', describe(it));
});

test('a handler that is told ends its stream itself, at the start of drain', async () => {
  const it = await served(
    `{ endStreamsAfter: '3s' }`,
    `res.writeHead(200, ${SSE}); res.write('data: x\\n\\n');
     gs.drainSignal.addEventListener('abort', () => res.end('event: bye\\n\\n'));`,
  );
  const client = await raw(it.port, GET());
  await client.hears('data: x');
  it.kill();
  await client.over;
  assert.match(client.heard, /event: bye[^]*\r\n0\r\n\r\n$/);
  await finish(it);
  assert.equal(it.status, 0, describe(it));
  assert.ok(it.at - it.killedAt < 2500, `${it.at - it.killedAt} ms`);
});

test('a long poll is answered 503, a POST too where it is named; a download that is merely long goes on to its end', async () => {
  const it = await served(
    `{ endStreamsAfter: 200 }`,
    `if (req.url === '/named') { gs.stream(res); return; }
     if (req.url === '/poll') return;
     res.writeHead(200); res.write('first '); await sleep(1200); res.end('last');`,
  );
  const polls = [ask(it.port, '/poll'), ask(it.port, '/named', { method: 'POST', body: 'x' })];
  const download = ask(it.port, '/download');
  await ask(it.port, '/x');
  it.kill();
  assert.deepEqual((await Promise.all(polls)).map((p) => p.status), [503, 503]);
  assert.equal((await download).text, 'first last');
  await finish(it);
  assert.equal(it.status, 0, describe(it));
});

test('an EventSource that comes in drain is given what it needs to come back: any status but 200 would end it for good', async () => {
  const it = await served(`{}`, TICKING);
  const hold = await raw(it.port);
  it.kill();
  await it.said('phase drain');
  const answer = await ask(it.port, '/', { headers: { accept: 'text/event-stream' } });
  assert.deepEqual([answer.status, answer.headers['content-type'], answer.text], [200, 'text/event-stream', 'retry: 1000\n\n']);
  hold.socket.destroy();
  await finish(it);
  assert.equal(it.status, 0, describe(it));
});

test('HTTP/2: the same', async () => {
  const it = await served(`{ endStreamsAfter: 300 }`, TICKING, `require('node:http2').createServer`);
  const session = http2.connect(`http://127.0.0.1:${it.port}`);
  const stream = session.request({ ':path': '/' });
  const ended = new Promise((done, fail) => stream.on('end', () => done('end')).on('error', fail));
  await new Promise((done) => stream.once('data', done));
  stream.resume();
  it.kill();
  assert.equal(await ended, 'end');
  session.close();
  await finish(it);
  assert.equal(it.status, 0, describe(it));
  assert.equal(it.report.outcome, 'clean');
});

test('a time that is none is refused', async () => {
  const it = start(`const gs = install(); const http = require('node:http');
    for (const t of ['2 s', -1, NaN, {}]) tell(() => gs.http(http.createServer(), { endStreamsAfter: t }));`);
  await finish(it);
  assert.equal(it.lines.length, 4);
  for (const line of it.lines) assert.match(line, /GraceshutError bad_time .*endStreamsAfter is a number of milliseconds or text such as/);
});
