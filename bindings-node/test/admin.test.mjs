import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { describe, finish, start } from './child.mjs';

/** One request to a Unix socket: status and body. */
const ask = (path, line) =>
  new Promise((done, fail) => {
    let text = '';
    const s = connect(path, () => s.write(`${line} HTTP/1.1\r\nHost: x\r\n\r\n`));
    s.setEncoding('utf8').setTimeout(10_000, () => s.destroy(new Error('no answer in 10 s')));
    s.on('data', (piece) => (text += piece)).on('error', fail);
    s.on('close', () => done([Number(text.split(' ')[1]), text.split('\r\n\r\n')[1]]));
  });

test('the admin endpoint answers while the loop is blocked, and a preStop is drained without it', async () => {
  const it = start(`
    const gs = install({ grace: '6s', admin: 'unix:a.sock' });
    gs.hook('drain', () => say('LATE'), { name: 'js', timeout: 500 });
    say('ready');
    for (;;);`);
  await it.said();
  const path = join(it.cwd, 'a.sock');
  const begun = performance.now();
  assert.deepEqual(await ask(path, 'GET /livez'), [200, 'ok\n']);
  assert.equal((await ask(path, 'GET /readyz'))[0], 200);
  const [code, body] = await ask(path, 'GET /status');
  const state = JSON.parse(body);
  assert.deepEqual([code, state.state, state.ready, state.grace_us], [200, 'armed', true, 6_000_000]);
  const [drained, after] = await ask(path, 'POST /prestop');
  const then = JSON.parse(after);
  assert.deepEqual([drained, then.reason.kind, then.waiting_for_signal], [200, 'prestop', true]);
  assert.equal((await ask(path, 'GET /readyz'))[0], 503);
  assert.ok(performance.now() - begun < 3000);
  it.kill();
  await finish(it);
  assert.equal(it.status, 1, describe(it));
  assert.deepEqual(it.report.triggers.map((t) => t.kind), ['prestop', 'signal'], describe(it));
  assert.equal(it.hook('js').outcome, 'not_started', describe(it));
});

test('bad admin options are refused by name', async () => {
  const it = await finish(start(`
    tell(() => install({ admin: 'localhost:9901' }));
    tell(() => install({ admin: '127.0.0.1:9901', adminToken: 'short' }));`));
  assert.match(it.lines[0], /GraceshutError bad_config .*admin = "localhost:9901".*127\.0\.0\.1:9901/, describe(it));
  assert.match(it.lines[1], /GraceshutError bad_config .*admin_token: a token is 16 to 256/, describe(it));
});
