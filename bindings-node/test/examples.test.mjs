// The examples, as a user runs them: copied into the folder where the package is installed.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import { test } from 'node:test';
import { describe, finish, start } from './child.mjs';
import { raw } from './clients.mjs';

const example = (name) => readFileSync(new URL(`../../examples/node/${name}`, import.meta.url), 'utf8');

function ask(port, path, method = 'GET', agent) {
  return new Promise((done, fail) => {
    const request = http.request({ port, path, method, agent, host: '127.0.0.1', timeout: 5000 }, (answer) => {
      answer.resume().on('end', () => done({ status: answer.statusCode, connection: answer.headers.connection }));
    });
    request.on('error', fail).end();
  });
}

test('quickstart.mjs: Ctrl-C ends it in order, by INT, although a client keeps its connection', async () => {
  const port = 18080 + (process.pid % 1000);
  const it = start(example('quickstart.mjs').replaceAll('8080', String(port)), { esm: true, bare: true });
  await it.said('Ctrl-C');
  const agent = new http.Agent({ keepAlive: true });
  assert.equal((await ask(port, '/', 'GET', agent)).status, 200);
  it.kill('SIGINT');
  await finish(it);
  agent.destroy();
  assert.equal(it.signal, 'SIGINT', describe(it));
  assert.match(it.stdout, /saving after INT, \d+ ms left/);
  assert.ok(it.at - it.killedAt < 3000);
});

test('service.mjs: serves, turns red, finishes what it took, leaves with 0', async () => {
  const port = 19100 + (process.pid % 1000);
  const it = start(example('service.mjs'), { esm: true, bare: true, env: { PORT: String(port) } });
  await it.said();
  const agent = new http.Agent({ keepAlive: true, maxSockets: 8 });
  const before = await Promise.all(['/readyz', '/work', '/nothing'].map((path) => ask(port, path, 'GET', agent)));
  assert.deepEqual(before.map((a) => a.status), [200, 200, 404]);
  assert.equal((await ask(port, '/work', 'POST', agent)).status, 200);
  const running = Array.from({ length: 8 }, () => ask(port, '/work', 'GET', agent));
  await new Promise((done) => setTimeout(done, 5));
  it.kill();
  assert.deepEqual(new Set((await Promise.all(running)).map((a) => [200, 503].includes(a.status))), new Set([true]));
  const red = await ask(port, '/readyz');
  assert.deepEqual([red.status, red.connection], [503, 'close']);
  await finish(it);
  assert.equal(it.status, 0, describe(it));
  const order = it.report.phases.flatMap((p) => p.hooks.filter((h) => h.kind === 'function').map((h) => `${p.name}/${h.name} ${h.outcome}`));
  assert.deepEqual(order, [
    'announce/deregister ok', 'drain/server ok', 'flush/buffers ok', 'flush/offsets ok', 'close/pool ok', 'close/files ok', 'final/telemetry ok',
  ]);
});

test('any-server.mjs: what is in flight is answered, who comes in drain is refused in words, leaves with 0', async () => {
  const port = 20200 + (process.pid % 1000);
  const it = start(example('any-server.mjs'), { esm: true, bare: true, env: { PORT: String(port) } });
  await it.said();
  const [busy, idle] = [await raw(port, 'a\n'), await raw(port, 'b\n')];
  await Promise.all([busy.hears('a done\n'), idle.hears('b done\n')]);
  busy.socket.write('c\n');
  const late = await raw(port);
  it.kill();
  await busy.over;
  assert.match(busy.heard, /^a done\n(c done\n)?try again\n$/);
  late.socket.write('d\n');
  await Promise.all([late.over, idle.over]);
  assert.match(late.heard, /^(d done\n)?(try again\n)?$/);
  assert.deepEqual([late.end, idle.end], ['end', 'end']);
  await finish(it);
  assert.equal(it.status, 0, describe(it));
  assert.equal(it.hook('lines').outcome, 'ok');
});

test('any-server.mjs: a client that sends a line right after each answer has an answer to each line', async () => {
  const port = 21300 + (process.pid % 1000);
  const it = start(example('any-server.mjs'), { esm: true, bare: true, env: { PORT: String(port) } });
  await it.said();
  const clients = await Promise.all(Array.from({ length: 4 }, () => raw(port)));
  for (const client of clients) {
    client.sent = 1;
    client.socket.write('a\n');
    client.socket.on('data', (d) => {
      if (!String(d).includes('try again')) client.socket.write(`a\n`, () => client.sent++);
    });
  }
  await Promise.all(clients.map((client) => client.hears('a done\na done\n')));
  it.kill();
  await Promise.all(clients.map((client) => client.over));
  await finish(it);
  assert.equal(it.status, 0, describe(it));
  for (const { heard, sent, end } of clients) {
    assert.match(heard, /^(a done\n)+try again\n$/);
    assert.deepEqual([heard.split('\n').length - 1, end], [sent, 'end']);
  }
});

test('the test of the README, by node:test', async () => {
  const [, code] = /```js\n(import \{ test \}[^]*?)```/.exec(readFileSync(new URL('../README.md', import.meta.url), 'utf8'));
  const it = await finish(start(code, { esm: true, bare: true }));
  assert.equal(it.status, 0, describe(it));
  assert.match(it.stdout, /buffers are written/);
});
