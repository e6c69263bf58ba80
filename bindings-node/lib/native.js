'use strict';
// Loads the addon of this platform, at the first install only. In a worker thread too: the addon pins itself before it hands
// anything to the thread, so that it outlives it (embedding C28).

const { readFileSync } = require('node:fs');
const { GraceshutError } = require('./error.js');
const { addons } = require('./platforms.js');

let addon;

/** musl or glibc, without running anything: the interpreter's own libraries say it. */
function libc() {
  try {
    return /\bld-musl-/.test(readFileSync('/proc/self/maps', 'utf8')) ? 'musl' : 'gnu';
  } catch {
    return 'gnu';
  }
}

/** The name of this platform as napi-rs has it. */
function triple() {
  const base = `${process.platform}-${process.arch}`;
  return process.platform === 'linux' ? `${base}-${libc()}` : base;
}

function load() {
  if (addon) return addon;
  const here = triple();
  const found = addons[here];
  if (!found) {
    const built = Object.keys(addons).join(', ');
    throw new GraceshutError('unsupported', `graceshut has no addon for ${here} (it has: ${built})`);
  }
  try {
    addon = found();
  } catch (cause) {
    const message =
      cause.code === 'MODULE_NOT_FOUND'
        ? `the package @graceshut/${here} is missing; it is an optional dependency: install without --omit=optional, on the platform it is to run on`
        : `the addon of @graceshut/${here} cannot be loaded (${cause.message})`;
    throw new GraceshutError('unsupported', message, { cause });
  }
  return addon;
}

module.exports = { load };
