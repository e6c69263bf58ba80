'use strict';
// Consumers of a queue: no new job in `drain`, those begun are finished, the connection goes in `close`.

const { GraceshutError } = require('../error.js');
const { checked } = require('./options.js');
const { kafkajs } = require('./kafkajs.js');

/** Resolves true when `work` ended, false when `signal` was aborted before. */
function before(signal, work) {
  return new Promise((done, fail) => {
    if (signal.aborted) return done(false);
    signal.addEventListener('abort', () => done(false), { once: true });
    work.then(() => done(true), fail);
  });
}

/** A Worker of BullMQ. Jobs that cannot end in time go back to the queue as stalled, and the hook says so. */
function bullmq(gs, worker, options) {
  const { name = `bullmq ${worker?.name}`, timeout } = checked(options, 'bullmq', ['name', 'timeout']);
  if (typeof worker?.pause !== 'function' || typeof worker.close !== 'function') {
    throw new GraceshutError('bad_value', 'bullmq() takes a Worker of the package bullmq');
  }
  let finished = false;
  gs.hook(
    'drain',
    async ({ signal }) => {
      finished = await before(signal, worker.pause());
      signal.throwIfAborted();
    },
    { name, timeout },
  );
  gs.hook('close', () => worker.close(!finished), { name });
  return worker;
}

module.exports = { bullmq, kafkajs };
