// Consumers, against stand-ins that have the calls and the timing of the real ones: what is done when, also when time runs out.
// BullMQ itself, with a Redis, is in test/adapters.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describe, signalled } from './child.mjs';

/** A worker of bullmq and a consumer of kafkajs whose job ends after `ms`. */
const script = (ms, use) => `
  const gs = install({ grace: '6s', phases: { drain: { cap: '1s' } } });
  const job = () => new Promise((done) => setTimeout(() => { say('job ended'); done(); }, ${ms}).unref());
  const worker = { name: 'mail', pause: async () => { say('pause in', gs.phase); await job(); }, close: async (force) => say('close in', gs.phase, force) };
  const consumer = { stop: async () => { say('stop in', gs.phase); await job(); say('committed'); }, disconnect: async () => say('disconnect in', gs.phase) };
  ${use}
  stay(); say('ready');`;

test('bullmq: no new job in drain, the one begun ends, the connection goes in close', async () => {
  const it = await signalled(script(100, `say(gs.bullmq(worker) === worker);`));
  assert.equal(it.status, 0, describe(it));
  assert.deepEqual(it.lines, ['true', 'pause in drain', 'job ended', 'close in close false']);
  assert.equal(it.hook('bullmq mail').outcome, 'ok');
});

test('bullmq: a job that does not end in time goes back to the queue, and that is told', async () => {
  const it = await signalled(script(60_000, `gs.bullmq(worker, { name: 'mail' });`));
  assert.equal(it.status, 1, describe(it));
  assert.deepEqual(it.lines, ['pause in drain', 'close in close true']);
  assert.equal(it.hook('mail').outcome, 'cancelled');
});

test('kafkajs: the consumer stays in its group for the hooks of flush, and leaves it in close', async () => {
  const it = await signalled(script(100, `
    const kafka = gs.kafkajs(consumer);
    say(typeof kafka.stop, typeof kafka.batches, typeof kafka.messages);
    gs.hook('flush', () => say('commit in', gs.phase));`));
  assert.equal(it.status, 0, describe(it));
  assert.deepEqual(it.lines, ['function function function', 'commit in flush', 'disconnect in close']);
});

test('kafkajs: a message that is still being handled when time runs out is told', async () => {
  const it = await signalled(script(60_000, `consumer.disconnect = job; gs.kafkajs(consumer);`));
  assert.equal(it.status, 1, describe(it));
  assert.match(it.report.phases.flatMap((p) => p.hooks).find((h) => h.name === 'kafkajs' && h.outcome !== 'ok').message, /still being handled/);
});

test('what is no worker, consumer or WebSocketServer is refused', async () => {
  const it = await signalled(script(1, `
    for (const f of ['bullmq', 'kafkajs', 'ws', 'nest']) tell(() => gs[f]({}));
    tell(() => gs.bullmq(worker, { timeoutt: 1 }));`));
  assert.equal(it.status, 0, describe(it));
  assert.equal(it.lines.filter((l) => /^GraceshutError bad_value /.test(l)).length, 4, describe(it));
  assert.match(it.lines[4], /bad_config .*"timeoutt"/);
});
