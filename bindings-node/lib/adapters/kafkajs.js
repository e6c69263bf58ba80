'use strict';
// Consumers of KafkaJS. Alone, `gs.kafkajs(consumer)` leaves the group in `close`; with `batches` or `messages` the loop is ours.

const { GraceshutError } = require('../error.js');
const { describe } = require('../options.js');
const { checked } = require('./options.js');
const { Consumption } = require('./kafkajs/consumption.js');
const { Batches } = require('./kafkajs/batches.js');
const { Messages } = require('./kafkajs/messages.js');

/** A wait that gives up when the hook is cancelled: false then. What it waited for may still fail, unheard. */
const untilCancelled = (signal) => (work) =>
  new Promise((done, fail) => {
    if (signal.aborted) return done(false);
    signal.addEventListener('abort', () => done(false), { once: true });
    work.then(() => done(true), fail);
  });

function positive(value, key, standard, whole) {
  if (value === undefined) return standard;
  if (typeof value !== 'number' || !(value > 0) || value > 1e6 || (whole && !Number.isInteger(value))) {
    throw new GraceshutError('bad_value', `${key} has to be a ${whole ? 'whole ' : ''}number above 0, at most 1000000, not ${describe(value)}`);
  }
  return value;
}

function topicsOf(topics) {
  const list = Array.isArray(topics) ? topics : [topics];
  if (!list.length || !list.every((t) => typeof t === 'string' || t instanceof RegExp)) {
    throw new GraceshutError('bad_value', `topics has to be an array of names or regular expressions, not ${describe(topics)}`);
  }
  return list;
}

/** The hooks of one consumer. What they do is decided when they run: by then there is a consumption, or the loop is the program's. */
class Care {
  constructor(gs, consumer, { name, timeout }) {
    this.consumer = consumer;
    this.consumption = null;
    const hook = (phase, f) => gs.hook(phase, ({ signal }) => f(untilCancelled(signal), signal), { name, timeout });
    this.hooks = [
      hook('drain', (until) => this.consumption?.drain(until)),
      hook('flush', (until, signal) => this.flush(until, signal)),
      hook('close', (until) => this.close(until)),
    ];
  }

  flush(until, signal) {
    const { consumption } = this;
    if (!consumption) return undefined;
    signal.addEventListener('abort', () => consumption.form.abort?.abort(signal.reason), { once: true });
    return consumption.flush(until);
  }

  async close(until) {
    if (this.consumption) return this.consumption.close(until);
    if (!(await until(this.consumer.disconnect()))) {
      throw new GraceshutError('timeout', 'the consumer has not left its group: a message is still being handled, or the broker does not answer');
    }
    return undefined;
  }

  begin(form, what, options) {
    const { topics, fromBeginning = false } = options;
    const list = topicsOf(topics);
    if (this.consumption) throw new GraceshutError('bad_value', `${what}() was called for this consumer before, or messages() or batches() was`);
    for (const method of ['connect', 'subscribe', 'run', 'on']) {
      if (typeof this.consumer[method] !== 'function') throw new GraceshutError('bad_value', `${what}() needs a consumer with ${method}()`);
    }
    this.consumption = new Consumption(this.consumer, form);
    form.join(this.consumption);
    return this.consumption.start(list, fromBeginning);
  }

  async batches(options) {
    const given = checked(options, 'batches', ['topics', 'write', 'size', 'seconds', 'retry', 'fromBeginning']);
    if (typeof given.write !== 'function') throw new GraceshutError('bad_value', `write has to be a function, not ${describe(given.write)}`);
    const form = new Batches({
      write: given.write,
      size: positive(given.size, 'size', 500, true),
      seconds: positive(given.seconds, 'seconds', 5),
      retry: positive(given.retry, 'retry', null),
    });
    await this.begin(form, 'batches', given);
    await this.consumption.over;
  }

  async messages(options) {
    const given = checked(options, 'messages', ['topics', 'seconds', 'fromBeginning']);
    const form = new Messages({ seconds: positive(given.seconds, 'seconds', 5) });
    await this.begin(form, 'messages', given);
    return form.stream;
  }
}

/** A consumer of KafkaJS: answers it with two more methods, `batches` and `messages`. */
function kafkajs(gs, consumer, options) {
  const { name = 'kafkajs', timeout } = checked(options, 'kafkajs', ['name', 'timeout']);
  if (typeof consumer?.stop !== 'function' || typeof consumer.disconnect !== 'function') {
    throw new GraceshutError('bad_value', 'kafkajs() takes a consumer of the package kafkajs');
  }
  const care = new Care(gs, consumer, { name, timeout });
  return Object.create(consumer, {
    batches: { value: (o) => care.batches(o) },
    messages: { value: (o) => care.messages(o) },
  });
}

module.exports = { kafkajs };
