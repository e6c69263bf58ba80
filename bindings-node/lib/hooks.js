'use strict';
// Runs hooks on the loop: the context they get, cancellation as an AbortSignal, and what their end means.

const { AsyncLocalStorage } = require('node:async_hooks');
const { performance } = require('node:perf_hooks');
const { GraceshutError, call } = require('./error.js');
const { text, describe } = require('./options.js');

const OK = 0;
const FAILED = 1;
const CANCELLED = 2;
const EXITED = 3;
/** Longest message of a failure. */
const LONGEST = 4096;

/** Which hook the running code belongs to, over every await. */
const inside = new AsyncLocalStorage();

/** Runs `fn` as the program's own code, also from within a hook: what it starts, its events and its exits are not the hook's. */
const outside = (fn) => inside.run(undefined, fn);

/** Thrown by process.exit while a shutdown runs: ends the code that called it, never reported. */
class ExitPutOff extends Error {
  constructor(code) {
    super(`process.exit(${code}) is put off: graceshut is shutting down and leaves when its plan is over`);
    this.name = 'ExitPutOff';
    this.exitCode = code;
  }
}

/** An error in its own words; never throws. It may be of another realm. */
function words(error) {
  try {
    const named = typeof error?.name === 'string' && typeof error.message === 'string';
    const said = named ? (error.name === 'Error' ? error.message : `${error.name}: ${error.message}`) : String(error);
    return (said || 'an error without a message').slice(0, LONGEST);
  } catch {
    return 'an error that cannot be told';
  }
}

const isThenable = (value) => value !== null && (typeof value === 'object' || typeof value === 'function') && typeof value.then === 'function';

class Hooks {
  constructor(native, reason) {
    this.native = native;
    this.reason = reason;
    this.bodies = new Map();
    this.running = new Map();
  }

  /** Keeps `fn` under a new number. */
  keep(fn, phase, name) {
    const id = this.native.hookNumber();
    this.bodies.set(id, { fn, phase, name });
    return id;
  }

  forget(id) {
    this.bodies.delete(id);
  }

  /** The core says that hook `id` may begin. */
  start(id) {
    const body = this.bodies.get(id);
    this.bodies.delete(id);
    if (!this.native.begin(id) || !body) return;
    const run = new Run(this, id, body);
    this.running.set(id, run);
    inside.run(run, () => run.begin());
  }

  /** Its soft deadline. */
  cancel(id) {
    this.running.get(id)?.abort.abort();
  }
}

/** One hook that runs. */
class Run {
  constructor(hooks, id, { fn, phase, name }) {
    this.hooks = hooks;
    this.id = id;
    this.fn = fn;
    this.phase = phase;
    this.name = name;
    this.abort = new AbortController();
    this.ended = false;
  }

  begin() {
    if (this.hooks.native.hookCancelled(this.id)) this.abort.abort();
    try {
      const result = this.fn(this.context());
      if (!isThenable(result)) return this.end(OK);
      Promise.resolve(result).then(
        () => this.end(OK),
        (error) => this.fail(error),
      );
    } catch (error) {
      this.fail(error);
    }
  }

  fail(error) {
    if (error instanceof ExitPutOff) return this.end(EXITED, '', error.exitCode);
    const { signal } = this.abort;
    const cancelled = signal.aborted && (error === signal.reason || error?.name === 'AbortError');
    return cancelled ? this.end(CANCELLED) : this.end(FAILED, words(error));
  }

  end(how, message = '', code = 0) {
    if (this.ended) return;
    this.ended = true;
    this.hooks.running.delete(this.id);
    this.hooks.native.finish(this.id, how, message, code);
  }

  /** What the hook is called with: own, enumerable properties, so that `({ signal, remaining, ...ctx })` takes all. */
  context() {
    const { id, hooks, abort } = this;
    const { native } = hooks;
    return {
      name: this.name,
      phase: this.phase,
      reason: hooks.reason(),
      signal: abort.signal,
      get remaining() {
        return call(native.hookRemaining, id);
      },
      get deadline() {
        const left = call(native.hookRemaining, id);
        return left === null ? null : performance.now() + left;
      },
      get cancelled() {
        return abort.signal.aborted || call(native.hookCancelled, id);
      },
      get abandoned() {
        return call(native.hookAbandoned, id);
      },
      extend: (ms) => {
        if (typeof ms !== 'number') throw new GraceshutError('bad_time', `extend needs milliseconds, not ${describe(ms)}`);
        return call(native.hookExtend, id, ms);
      },
      log: (message) => call(native.hookLog, id, text(message, 'the message')),
      progress: (done, total = 0) => {
        if (typeof done !== 'number' || typeof total !== 'number') {
          throw new GraceshutError('bad_value', 'progress needs numbers: done and total');
        }
        call(native.hookProgress, id, done, total);
      },
    };
  }
}

module.exports = { Hooks, ExitPutOff, inside, outside, words, EXITED, FAILED };
