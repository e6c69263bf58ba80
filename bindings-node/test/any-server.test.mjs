// gs.listener(): a server that graceshut has no adapter for (spec 9.5). Here: a protocol of lines over TCP.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describe, finish, start } from './child.mjs';
import { portOf, raw } from './clients.mjs';

/** Answers `slow` after 500 ms and anything else at once; in drain with `busy`, and closes. */
const service = (more = '', options = '') => `
  const net = require('node:net');
  const gs = install({ grace: '6s', announceDelay: '200ms', ${options} });
  gs.on('phase_start', (e) => say('phase', e.phase));
  const idle = new Set();
  const server = net.createServer((socket) => {
    idle.add(socket);
    socket.on('close', () => idle.delete(socket)).on('error', () => {});
    socket.setEncoding('utf8').on('data', async (line) => {
      if (!work.tryEnter()) return socket.end('busy\\n');
      idle.delete(socket);
      if (line.startsWith('slow')) await sleep(500);
      socket.write(line, () => work.leave());
      if (work.stopping) socket.end();
      else idle.add(socket);
    });
  });
  const work = gs.listener(server, { name: 'lines', refuse: () => say('refuse in', gs.phase), close: async ({ signal }) => {
    say('close, listening', server.listening);
    server.close();
    for (const s of idle) s.end();
  } });
  ${more}
  server.listen(0, '127.0.0.1', () => { say('port', server.address().port); say('ready'); });`;

async function served(...args) {
  const it = start(service(...args));
  await it.said();
  it.port = portOf(it);
  return it;
}

test('what is in flight is answered, what comes is refused in words, the queue is empty before close()', async () => {
  const it = await served();
  const slow = await raw(it.port, 'slow\n');
  const idle = await raw(it.port, 'a\n');
  await idle.hears('a');
  it.kill();
  await it.said('phase announce');
  const announced = await raw(it.port, 'b\n');
  await announced.hears('b');
  await it.said('refuse in drain');
  const late = await raw(it.port, 'c\n');
  await late.over;
  assert.deepEqual([late.heard, late.end], ['busy\n', 'end']);
  await slow.over;
  assert.equal(slow.heard, 'slow\n');
  assert.equal((await idle.over).end, 'end');
  await finish(it);
  assert.equal(it.status, 0, describe(it));
  assert.match(it.stdout, /close, listening true/);
  assert.equal(it.hook('lines').outcome, 'ok');
});

test('a blocked loop resets nobody who waits in the queue', async () => {
  const it = await served(`gs.hook('drain', () => { say('blocked'); block(600); }, { name: 'blocker' });`);
  it.kill();
  await it.said('blocked');
  const waiting = await Promise.all(Array.from({ length: 20 }, () => raw(it.port, 'x\n')));
  const ends = await Promise.all(waiting.map((c) => c.over));
  assert.deepEqual(new Set(ends.map((c) => `${c.heard.trim()} ${c.end}`)), new Set(['busy end']));
  await finish(it);
  assert.equal(it.status, 0, describe(it));
});

test("close() of a listener of the program's own at the signal is put off until the queue is empty", async () => {
  const it = await served(`process.on('SIGTERM', () => server.close(() => say('closed in', gs.phase)));`);
  it.kill();
  await it.said('phase announce');
  const announced = await raw(it.port, 'b\n');
  await announced.hears('b');
  await finish(it);
  assert.equal(it.status, 0, describe(it));
  assert.match(it.stdout, /close, listening true[^]*closed in/);
});

test('by a port, where the server is not to be had; the descriptor is found', async () => {
  const it = start(`
    const net = require('node:net');
    const gs = install({ grace: '6s' });
    const server = net.createServer((s) => s.on('error', () => {}).end('bye\\n'));
    server.listen(0, '127.0.0.1', () => {
      gs.listener(server.address().port, { close: () => new Promise((done) => { say('close'); server.close(done); }) });
      say('port', server.address().port); say('ready');
    });`);
  await it.said();
  const client = await raw(portOf(it));
  assert.equal((await client.over).heard, 'bye\n');
  it.kill();
  await finish(it);
  assert.equal(it.status, 0, describe(it));
  assert.ok(it.lines.includes('close'), describe(it));
  const used = it.hook('server').used_us;
  assert.ok(used > 100_000, `the listener stayed for a while: ${used}`);
});

test('work that never ends is told; bad input is named', async () => {
  const it = await served(`work.tryEnter();
    tell(() => gs.listener({})); tell(() => gs.listener(0)); tell(() => gs.listener(8080)); tell(() => gs.listener(server, { close: 1 })); tell(() => gs.listener(server, { clos: 1 }));`, `phases: { drain: { cap: '1500ms' } }`);
  it.kill();
  await finish(it);
  assert.equal(it.hook('lines')?.message, '1 units of work were in flight when the time of drain was over', describe(it));
  const told = it.lines.filter((l) => l.startsWith('GraceshutError'));
  assert.equal(told.length, 5, describe(it));
  assert.match(told[0], /bad_value .*listener\(\) takes a server that listens/);
  assert.match(told[1], /bad_value/);
  assert.match(told[2], /bad_value .*close of listener\(\) has to be a function/);
  assert.match(told[3], /bad_value .*close/);
  assert.match(told[4], /bad_config .*unknown key "clos" \(listener\(\) has name, timeout, close, refuse\)/);
});
