'use strict';
// How Node ends, and what of it is a trigger (spec 2.6, 8.6; the table is in README.md):
// the loop empties, process.exit(), an uncaught error. process.abort() and KILL ask nobody.

const fs = require('node:fs');
const { inspect } = require('node:util');
const { ExitPutOff, inside, words, EXITED, FAILED } = require('./hooks.js');

/** Node's own message for an error nobody catches: source line, stack, version. */
function tell(error) {
  let message;
  try {
    message = `${sourceLine(error)}${error instanceof Error ? inspect(error) : `Uncaught:\n${inspect(error)}`}\n\nNode.js ${process.version}\n`;
  } catch {
    message = `Uncaught error that cannot be shown\n\nNode.js ${process.version}\n`;
  }
  try {
    fs.writeSync(2, message);
  } catch {
    // stderr is closed or full: it changes nothing.
  }
}

function sourceLine(error) {
  const frame = /\(?((?:file:\/\/)?\/[^\n()]*?):(\d+):(\d+)\)?$/m.exec(error instanceof Error ? String(error.stack) : '');
  if (!frame) return '';
  const [, place, line, column] = frame;
  try {
    const path = place.startsWith('file://') ? new URL(place) : place;
    const source = fs.readFileSync(path, 'utf8').split('\n')[line - 1];
    if (source.length > 300) return '';
    return `${place}:${line}\n${source}\n${' '.repeat(column - 1)}^\n\n`;
  } catch {
    return '';
  }
}

/** The exit status Node would leave with. */
const exitCode = (fallback) => {
  const code = Number(process.exitCode ?? fallback);
  return Number.isInteger(code) ? code | 0 : fallback;
};

/** How many resources of each kind there are; some (stdio) are listed although they keep no loop alive. */
function counted() {
  const kinds = new Map();
  for (const name of process.getActiveResourcesInfo()) if (name !== 'Immediate') kinds.set(name, (kinds.get(name) ?? 0) + 1);
  return kinds;
}

/** The status Node gives a main module whose top-level await never settled. */
const UNSETTLED = 13;

class HostEnd {
  /**
   * @param native the addon
   * @param {() => void} stopping called when a shutdown has begun: keeps the loop
   * @param {() => string[]} groups names of the groups of work in flight
   */
  constructor(native, stopping, groups) {
    this.native = native;
    this.stopping = stopping;
    this.groups = groups;
    this.left = false;
    /** The program has ended while the plan ran, by process.exit or by an uncaught error: it is not waited for after the plan. */
    this.wantsOut = false;
    /** The status of the first process.exit that was put off. */
    this.proposed = undefined;
    /** The status of an uncaught error between the end of the plan and the moment in which the program was told of it. */
    this.failed = undefined;
    /** The plan is over, and the program was told. */
    this.over = false;
    /** The loop emptied, and that was the trigger. */
    this.emptied = false;
    this.listeners = {
      beforeExit: () => this.onLoopEmpty(),
      exit: (code) => this.onExit(code),
      uncaughtException: (error, origin) => this.onUncaught(error, origin),
    };
    // First, so that what other listeners begin can be told apart from what was there.
    for (const [name, f] of Object.entries(this.listeners)) process[name === 'beforeExit' ? 'prependListener' : 'on'](name, f);
    this.takeReallyExit();
    this.takeExit();
  }

  close() {
    for (const [name, f] of Object.entries(this.listeners)) process.off(name, f);
    if (process.reallyExit === this.reallyExit) process.reallyExit = this.realReallyExit;
    if (process.exit === this.exit) process.exit = this.realExit;
    if (this.realEmit && process.emit === this.emit) process.emit = this.realEmit;
    process.off('unhandledRejection', rejected);
  }

  /**
   * process.reallyExit asks nobody (spec 2.6). Underneath it is the C library's exit, which the core would take for the
   * end of the program and wait for hooks that the loop can no longer run.
   */
  takeReallyExit() {
    const real = process.reallyExit;
    this.realReallyExit = real;
    this.reallyExit = (code) => {
      if (!this.left && this.native.state()[0] === 'armed') {
        this.left = true;
        this.native.uninstall();
      }
      return real.call(process, code);
    };
    process.reallyExit = this.reallyExit;
  }

  /**
   * The loop is empty. Listeners after ours may give it new work; only what is still empty after them is the end.
   * A shutdown that began in this very moment keeps the loop instead.
   */
  onLoopEmpty() {
    if (this.left) return;
    const state = () => this.native.state()[0];
    if (state() === 'stopping' || state() === 'stopped') return this.stopping();
    const before = counted();
    setImmediate(() => {
      if (state() === 'armed') {
        const now = counted();
        for (const [name, n] of now) if (n > (before.get(name) ?? 0)) return;
        this.native.hostEnd(null, exitCode(0));
        this.emptied = true;
      }
      if (state() !== 'idle') this.stopping();
    });
  }

  /** process.exit() outside a hook, or what nobody could hold: native hooks run while we wait here. */
  onExit(code) {
    if (this.left) return;
    this.left = true;
    try {
      const [state] = this.native.state();
      if (state === 'idle') return;
      if (state === 'stopping') this.native.warn(`the process left while the plan ran, by ${caller()}: hooks in JavaScript are skipped`);
      this.native.hostEnd(null, code | 0);
      const decided = this.native.closeHostAndWait(this.groups(), code | 0);
      if (decided !== 0 || code === 0) process.exitCode = decided;
    } catch {
      // Uninstalled meanwhile: nothing to wait for.
    }
  }

  onUncaught(error, origin) {
    if (error instanceof ExitPutOff) return;
    // Somebody else's listener makes it an error that was handled.
    if (process.listenerCount('uncaughtException') > 1) return;
    const run = inside.getStore();
    tell(error);
    if (run && !run.ended) {
      run.end(FAILED, words(error));
      return;
    }
    // The plan is over: this ends the program as it does without us, and nothing waits for it any longer (spec 6.6).
    const stopped = this.over || this.native.state()[0] === 'stopped';
    if (stopped) this.native.warn(`the program's own stop ended by an uncaught error: ${words(error)}`);
    if (this.over) return process.exit(1);
    if (stopped) {
      this.failed = 1;
      this.wantsOut = true;
      return;
    }
    const what = origin === 'unhandledRejection' ? 'unhandled rejection' : 'uncaught exception';
    this.wantsOut = true;
    this.native.hostEnd(`${what}: ${words(error)}`, 1);
    this.stopping();
  }

  /**
   * While the plan runs, process.exit proposes the status and ends the code that called it, inside a hook and outside (spec 8.6):
   * a listener for the same signal that exits because its own clean-up is over must not cut short the hooks of others. The
   * process leaves when the plan is over. Without a deadline nothing is put off: it might be for ever.
   */
  takeExit() {
    const real = process.exit;
    this.realExit = real;
    this.exit = (...given) => {
      const [code] = given;
      const store = inside.getStore();
      // What a hook began and left behind is the program's: its exit is not the hook's.
      const run = store?.ended ? undefined : store;
      if (this.left || process._exiting || (!run && !this.isBounded())) return real.apply(process, given); // given undefined, Node forgets exitCode
      const proposed = code === undefined || code === null ? exitCode(0) : Number(code) | 0;
      this.proposed ??= proposed;
      if (run) run.end(EXITED, '', proposed);
      else this.propose(proposed);
      throw new ExitPutOff(proposed);
    };
    Object.defineProperty(this.exit, 'name', { value: 'exit' });
    process.exit = this.exit;
  }

  /** The plan runs, and has an end. */
  isBounded() {
    try {
      if (!this.native.hasBegun() || this.native.state()[0] !== 'stopping') return false;
      return JSON.parse(this.native.reason()).kind === 'signal' || !this.unlimited();
    } catch {
      return false; // uninstalled
    }
  }

  unlimited() {
    return JSON.parse(this.native.config()).values.grace_normal?.value === 'none';
  }

  propose(code) {
    this.wantsOut = true;
    this.hide();
    this.native.hostEnd(null, code);
    this.stopping();
  }

  /** What process.exit threw is nobody's error: no listener for uncaught errors and rejections is told of it. */
  hide() {
    if (this.realEmit) return;
    const real = process.emit;
    this.realEmit = real;
    this.emit = function emit(name, error) {
      if (error instanceof ExitPutOff && /^(uncaughtException(Monitor)?|unhandledRejection)$/.test(String(name))) return true;
      return Reflect.apply(real, this, arguments);
    };
    process.emit = this.emit;
    if (process.versions.bun) process.on('unhandledRejection', rejected); // it does not go through emit
  }

  /**
   * Leaves with the decided status; once. Exit listeners run. An exit that was put off when the status was decided already is kept
   * (spec 6.5), and so is the 13 of a top-level await that never settles.
   */
  leave(code) {
    if (this.left) return;
    this.left = true;
    process.exit(this.failed ?? (code === 0 ? (this.proposed ?? (this.emptied && unsettled() ? UNSETTLED : 0)) : code));
  }
}

/** A top-level await of the main module has not settled: Node's own exit listener, which sets the status then, is still there. */
function unsettled() {
  return process.exitCode === undefined && process.listeners('exit').some((listener) => listener.name === 'handleProcessExit');
}

function rejected(error) {
  if (!(error instanceof ExitPutOff) && process.listenerCount('unhandledRejection') === 1) throw error;
}

/** Where the code stands that called process.exit, for the report. */
function caller() {
  const frames = String(new Error().stack).split('\n').slice(1).map((line) => line.trim().replace(/^at /, ''));
  const outside = frames.filter((frame) => !frame.includes('node:') && !frame.includes(__dirname));
  return outside[0] ? `process.exit at ${outside[0]}` : 'process.exit';
}

module.exports = { HostEnd };
