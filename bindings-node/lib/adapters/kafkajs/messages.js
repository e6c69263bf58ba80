'use strict';
// Messages: one after another, as an async iterable; one is done when the program says so.

const { GraceshutError } = require('../../error.js');

class Messages {
  constructor({ seconds }) {
    this.wait = seconds * 1000;
    this.queue = [];
    this.given = new WeakMap();
    /** The loop has one in hand: it was given out, and the next one was not asked for yet. */
    this.inHand = false;
    this.ended = false;
    this.open = 0;
    this.timer = null;
    this.stream = new Stream(this);
  }

  join(consumption) {
    this.consumption = consumption;
  }

  room() {
    return this.queue.length === 0;
  }

  take(taken) {
    this.queue.push(taken);
    this.consumption.changes.happened();
  }

  holds() {
    return this.queue.length > 0 || this.inHand || this.timer !== null;
  }

  busy() {
    return this.inHand ? 'the loop has not come back from the message in its hands' : '';
  }

  async settled() {}

  async finish() {}

  drain() {
    this.ended = true;
    this.queue = [];
    this.disarm();
  }

  forget() {
    this.queue = [];
  }

  // ---- the program's side ----

  async next() {
    const { consumption } = this;
    this.inHand = false;
    consumption.changes.happened();
    while (!this.ended && !this.queue.length) await consumption.changes.next;
    if (this.ended) return { done: true, value: undefined };
    const taken = this.queue.shift();
    this.inHand = true;
    this.given.set(taken.message, taken);
    consumption.changes.happened();
    return { done: false, value: taken.message };
  }

  /** The loop was left by `break` or an error: its message is not done. */
  leave() {
    this.inHand = false;
    this.consumption.changes.happened();
  }

  done(message) {
    const taken = this.given.get(message);
    if (!taken) throw new GraceshutError('bad_value', 'done() takes a message that this consumer gave out');
    this.consumption.ledger.done(taken);
    if (!this.ended) this.arm();
  }

  arm() {
    this.timer ??= setTimeout(() => {
      this.timer = null;
      this.consumption.commit().catch((error) => {
        this.consumption.tell('the offsets of what is done could not be committed yet', error);
        if (!this.ended) this.arm();
      });
    }, this.wait);
  }

  disarm() {
    clearTimeout(this.timer);
    this.timer = null;
  }
}

/** What the program has in its hands. */
class Stream {
  #messages;

  constructor(messages) {
    this.#messages = messages;
  }

  [Symbol.asyncIterator]() {
    const messages = this.#messages;
    return {
      next: () => messages.next(),
      return: async () => {
        messages.leave();
        return { done: true, value: undefined };
      },
    };
  }

  done(message) {
    this.#messages.done(message);
  }
}

module.exports = { Messages };
