'use strict';
// Work in flight, counted on the page the core reads (layout: core/src/inflight.rs). Entering and leaving make no native call.

const { DrainingError, GraceshutError, call } = require('./error.js');

const MAGIC = 0x46495347;
const WORD = 64 / 4;
const DRAINING = 2;

const dispose = Symbol.dispose ?? Symbol.for('nodejs.dispose');
const asyncDispose = Symbol.asyncDispose ?? Symbol.for('nodejs.asyncDispose');

/** One unit of work; its end is leave(), `using`, or `await using`. */
class Guard {
  #group;
  #open = true;

  constructor(group) {
    this.#group = group;
  }

  /** Counts a part of this unit in; never refused. */
  enter() {
    if (!this.#open) throw new GraceshutError('too_late', 'this unit of work has already ended; enter a part before leave()');
    return this.#group.enterPart();
  }

  /** Ends the unit; a second call does nothing. */
  leave() {
    if (!this.#open) return;
    this.#open = false;
    this.#group.leave();
  }

  [dispose]() {
    this.leave();
  }

  [asyncDispose]() {
    this.leave();
    return Promise.resolve();
  }
}

/** A group of work in flight; one per name and process. */
class InFlight {
  constructor(native, name) {
    const page = new Int32Array(call(native.inflightPage, name));
    if (page[0] !== MAGIC || page[1] !== 1) {
      throw new GraceshutError('abi_mismatch', `the in-flight page has magic ${page[0]} and version ${page[1]}`);
    }
    this.name = name;
    this.page = page;
    // One stripe is enough for JavaScript (worker threads share it): the last, which native threads use last.
    this.entered = (page[4] + (page[2] - 1) * page[3]) / 4;
    this.left = this.entered + 64 / 4;
    this.first = page[4] / 4;
    this.step = page[3] / 4;
    this.wake = native.inflightWake;
  }

  /** 0 running, 1 announced, 2 draining. */
  get word() {
    return Atomics.load(this.page, WORD);
  }

  tryEnter() {
    const page = this.page;
    Atomics.add(page, this.entered, 1);
    if (Atomics.load(page, WORD) !== DRAINING) return true;
    InFlight.prototype.leave.call(this);
    return false;
  }

  leave() {
    const page = this.page;
    Atomics.add(page, this.left, 1);
    if (Atomics.load(page, WORD) === DRAINING) this.wake();
  }

  enter() {
    return this.tryEnter() ? new Guard(this) : null;
  }

  enterPart() {
    Atomics.add(this.page, this.entered, 1);
    return new Guard(this);
  }

  async track(fn) {
    if (typeof fn !== 'function') throw new GraceshutError('bad_value', 'track needs a function');
    if (!this.tryEnter()) throw new DrainingError();
    try {
      return await fn();
    } finally {
      this.leave();
    }
  }

  trackSync(fn) {
    if (typeof fn !== 'function') throw new GraceshutError('bad_value', 'trackSync needs a function');
    if (!this.tryEnter()) throw new DrainingError();
    try {
      return fn();
    } finally {
      this.leave();
    }
  }

  /** Units in flight; never lower than the truth. */
  get count() {
    let left = 0;
    let entered = 0;
    // Every `left` before any `entered`.
    for (let i = this.first + 64 / 4, end = this.page.length; i < end; i += this.step) left += Atomics.load(this.page, i);
    for (let i = this.first, end = this.page.length; i < end; i += this.step) entered += Atomics.load(this.page, i);
    return (entered - left) >>> 0;
  }
}

/**
 * As InFlight, on a worker thread. It keeps a second count of its own units on a word that the core reads when the thread
 * ends: nobody else could end them. Interrupted anywhere, the word is never higher than what was entered.
 */
class WorkerInFlight extends InFlight {
  constructor(native, name, env) {
    super(native, name);
    this.own = new Int32Array(call(native.inflightLedger, env, name));
  }

  tryEnter() {
    if (!super.tryEnter()) return false;
    Atomics.add(this.own, 0, 1);
    return true;
  }

  enterPart() {
    const guard = super.enterPart();
    Atomics.add(this.own, 0, 1);
    return guard;
  }

  leave() {
    Atomics.sub(this.own, 0, 1);
    super.leave();
  }
}

module.exports = { InFlight, WorkerInFlight };
