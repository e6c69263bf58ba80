'use strict';
// Node's listeners for the managed signals, and ours among them.
//
// The handler in the kernel is the core's. Three things in JavaScript belong to it:
// - One listener of ours for each managed signal: tools that ask `listenerCount` (tsx, Deno's runtime, Prisma) end the process at
//   once where they find none. Nothing is chained to Node for it, so it costs no wake-up. While the program has one of its own, ours is
//   taken off: there are libraries that act only where their listener is the only one (exiting).
// - process.on() puts libuv's handler in place of ours, and removing the last listener sets SIG_DFL (embedding C24). Node's own
//   'newListener' and 'removeListener' listeners run first, so the change is already made when ours are called, and ours goes back
//   on top before any other JavaScript runs.
// - Which signals have a listener of the program's own: such a program may leave by itself (spec 6.6). While it is waited for, a signal that it
//   has no listener for (`once`) ends it, as it would without graceshut: libuv's handler is chained to for all of them then.

const { constants } = require('node:os');
const { performance } = require('node:perf_hooks');

// Tools that hide their own listeners (tsx) put another listenerCount on `process`: what libuv's handler is needed for is counted with
// the one it inherits. (Bun's process has its own emitter, of which that of node:events knows nothing.)
const { listenerCount } = Object.getPrototypeOf(process);

/** Numbers of the signals that have a listener now. */
function listened() {
  const all = process.eventNames().filter((name) => typeof name === 'string' && name in constants.signals);
  return [...new Set(all.map((name) => constants.signals[name]))];
}

/** Listeners of `signal-exit` (3 and 4) for one signal: it only watches, and leaves the signal to others where there are any. */
function watchers() {
  const emitters = [process.__signal_exit_emitter__, globalThis[Symbol.for('signal-exit emitter')]];
  return emitters.reduce((sum, emitter) => sum + (Number.isInteger(emitter?.count) ? emitter.count : 0), 0);
}

/** Within this time from its begin a shutdown takes further signals for duplicates (spec 7.1). */
const DUPLICATE_MS = 500;
/** A signal that the program has sent itself makes it leave within this time, by the core (spec 6.6): libuv does not tell who sent it. */
const RERAISED_MS = 100;

class Signals {
  /**
   * @param native the addon, installed
   * @param {boolean} sandboxed `process` is a copy (jest): no signal reaches its listeners, and none of ours is added
   */
  constructor(native, sandboxed) {
    this.native = native;
    this.sandboxed = sandboxed;
    /** Name and number of those whose handler is ours; what was left alone at install (nohup) stays alone. */
    this.managed = new Map();
    for (const { signal, state } of JSON.parse(native.status()).handlers) {
      const name = `SIG${signal}`;
      if (state === 'ours' && name in constants.signals) this.managed.set(name, constants.signals[name]);
    }
    /** Those told to the core again, once each. */
    this.retold = new Set();
    this.disowned = false;
    /** Set while the program is waited for after the plan: called with the number of a signal that it has no listener for. */
    this.leave = null;
    this.closed = false;
    this.shown = (name) => this.heard(name);
    /** Names with our listener. */
    this.visible = new Set();
    // Told before the listener is on the list.
    this.added = (name, listener) => {
      if (!this.managed.has(name)) return;
      this.changed(name, listener === this.shown ? 0 : 1);
      queueMicrotask(() => this.listened(name)); // it is on the list then, and Deno sets its handler after this event
    };
    this.removed = (name, listener) => {
      if (!this.managed.has(name)) return;
      if (listener === this.shown) this.visible.delete(name);
      this.changed(name, 0);
      this.show(name);
    };
    process.on('newListener', this.added);
    process.on('removeListener', this.removed);
    for (const name of this.managed.keys()) {
      this.show(name);
      if (!this.visible.has(name)) this.changed(name, 0);
    }
  }

  /** Ours is to be seen where the program has none: also after removeAllListeners. */
  show(name) {
    if (this.sandboxed || this.closed || this.visible.has(name) || this.own(name) > 0) return;
    process.on(name, this.shown);
    this.visible.add(name);
    this.changed(name, 0);
  }

  /** A listener for `name` was added. */
  listened(name) {
    if (this.closed) return;
    if (this.visible.has(name) && this.own(name) > 0) {
      this.visible.delete(name);
      process.off(name, this.shown);
    }
    this.changed(name, 0);
  }

  /** Listeners for `name` came or went: ours goes on top, chained to libuv's where somebody else needs that. */
  changed(name, coming) {
    const number = this.managed.get(name);
    const others = listenerCount.call(process, name) + coming - (this.visible.has(name) ? 1 : 0);
    try {
      this.native.rearm(number, others > 0 || (this.leave !== null && this.visible.has(name)));
      const own = !this.disowned && others > 0 && this.own(name) + coming > 0;
      // A `once` listener that is being called, or one that took itself out, still stops the program.
      if (own || !this.native.hasBegun()) this.native.ownHandler(number, own);
    } catch {
      // The install is ending: nothing of ours to put back.
    }
  }

  /** The program waits for the end of the plan, and leaves with it. */
  disown() {
    this.disowned = true;
    for (const number of this.managed.values()) this.native.ownHandler(number, false);
  }

  /**
   * Called where others listen too, and for a signal that came in the microseconds in which libuv's handler stood alone: the core
   * has not heard of that one.
   */
  heard(name) {
    if (this.leave !== null) return this.again(name);
    if (this.retold.has(name)) return;
    try {
      if (!this.native.stops(this.managed.get(name)) || this.native.hasBegun()) return;
    } catch {
      return; // uninstalled
    }
    this.retold.add(name);
    this.changed(name, 0);
    process.kill(process.pid, name);
  }

  /** The plan is over, and the program is waited for. `begun`: when the shutdown began. */
  waitFor(begun, leave) {
    if (this.disowned || this.closed) return;
    this.begun = begun;
    this.leave = leave;
    for (const name of this.managed.keys()) this.changed(name, 0);
  }

  again(name) {
    const number = this.managed.get(name);
    if (this.own(name) > 0 || !this.native.stops(number) || performance.now() - this.begun < DUPLICATE_MS) return;
    setTimeout(() => this.leave(number), RERAISED_MS);
  }

  /** How many listeners for `name` are the program's own. */
  own(name) {
    return process.listeners(name).filter((listener) => listener !== this.shown).length - watchers();
  }

  /** After the core's handlers went back: removing the last listener sets SIG_DFL. */
  close() {
    this.closed = true;
    process.off('newListener', this.added);
    process.off('removeListener', this.removed);
    for (const name of this.managed.keys()) process.off(name, this.shown);
  }
}

module.exports = { listened, Signals };
