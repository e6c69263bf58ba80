'use strict';
// Tells the core of every listener for a managed signal (embedding C24): process.on() puts libuv's handler in ours' place,
// and removing the last listener sets SIG_DFL. Node's own 'newListener' and 'removeListener' listeners run first, so the change
// is already made when ours are called, and ours goes back on top before any other JavaScript runs.

const { constants } = require('node:os');

const names = new Map(Object.entries(constants.signals).map(([name, number]) => [number, name]));

/** Numbers of the signals that have a listener now. */
function listened() {
  const all = process.eventNames().filter((name) => typeof name === 'string' && name in constants.signals);
  return [...new Set(all.map((name) => constants.signals[name]))];
}

/** Begins to watch; answers how to end it. */
function watch(native) {
  const managed = new Map();
  for (const number of native.managedSignals()) {
    const name = names.get(number);
    if (name) managed.set(name, number);
  }
  const rearm = (name, chain) => {
    try {
      native.rearm(managed.get(name), chain);
    } catch {
      // Left alone at install (nohup), or the install is ending: nothing of ours to put back.
    }
  };
  const added = (name) => {
    if (managed.has(name)) rearm(name, true);
  };
  const removed = (name) => {
    if (managed.has(name)) rearm(name, process.listenerCount(name) > 0);
  };
  process.on('newListener', added);
  process.on('removeListener', removed);
  return () => {
    process.off('newListener', added);
    process.off('removeListener', removed);
  };
}

module.exports = { listened, watch };
