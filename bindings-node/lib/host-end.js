'use strict';
// How Node ends, and what of it is a trigger (spec 2.6, 8.6; the table is in README.md):
// the loop empties, process.exit(), an uncaught error. process.abort() and KILL ask nobody.

const fs = require('node:fs');
const { inspect } = require('node:util');
const { ExitInHook, inside, words, EXITED, FAILED } = require('./hooks.js');

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
    this.realExit = undefined;
    this.listeners = {
      beforeExit: () => this.onLoopEmpty(),
      exit: (code) => this.onExit(code),
      uncaughtException: (error, origin) => this.onUncaught(error, origin),
    };
    // First, so that what other listeners begin can be told apart from what was there.
    for (const [name, f] of Object.entries(this.listeners)) process[name === 'beforeExit' ? 'prependListener' : 'on'](name, f);
    this.takeReallyExit();
  }

  close() {
    for (const [name, f] of Object.entries(this.listeners)) process.off(name, f);
    if (process.reallyExit === this.reallyExit) process.reallyExit = this.realReallyExit;
    this.unwrapExit();
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
      }
      if (state() !== 'idle') this.stopping();
    });
  }

  /** process.exit() outside a hook, or what nobody could hold: native hooks run while we wait here. */
  onExit(code) {
    if (this.left) return;
    this.left = true;
    try {
      if (this.native.state()[0] === 'idle') return;
      this.native.hostEnd(null, code | 0);
      const decided = this.native.closeHostAndWait(this.groups());
      if (decided !== 0 || code === 0) process.exitCode = decided;
    } catch {
      // Uninstalled meanwhile: nothing to wait for.
    }
  }

  onUncaught(error, origin) {
    if (error instanceof ExitInHook) return;
    // Somebody else's listener makes it an error that was handled.
    if (process.listenerCount('uncaughtException') > 1) return;
    const run = inside.getStore();
    tell(error);
    if (run && !run.ended) {
      run.end(FAILED, words(error));
      return;
    }
    if (this.native.state()[0] === 'stopped') return;
    const what = origin === 'unhandledRejection' ? 'unhandled rejection' : 'uncaught exception';
    this.native.hostEnd(`${what}: ${words(error)}`, exitCode(1));
    this.stopping();
  }

  /** While the process stops, process.exit inside a hook proposes the status and ends that hook; elsewhere it exits. */
  wrapExit() {
    if (this.realExit) return;
    const real = process.exit;
    this.realExit = real;
    this.wrapped = function exit(code) {
      const run = inside.getStore();
      if (!run) return real.call(process, code);
      const status = exitCode(0);
      const proposed = code === undefined || code === null ? status : Number(code) | 0;
      run.end(EXITED, '', proposed);
      throw new ExitInHook(proposed);
    };
    process.exit = this.wrapped;
  }

  unwrapExit() {
    if (this.realExit && process.exit === this.wrapped) process.exit = this.realExit;
    this.realExit = undefined;
  }

  /** Leaves with the decided status; once. Exit listeners run. */
  leave(code) {
    if (this.left) return;
    this.left = true;
    this.unwrapExit();
    process.exit(code);
  }
}

module.exports = { HostEnd };
