'use strict';
// Loads the addon at the first install, in the main thread only: an addon used by a worker thread alone would be unmapped
// with it while its handler is still in place (embedding C28).

const { GraceshutError } = require('./error.js');

let addon;

function load() {
  if (addon) return addon;
  // Required here and not above: it is a millisecond that a program which never installs need not pay.
  if (!require('node:worker_threads').isMainThread) {
    throw new GraceshutError(
      'wrong_thread',
      'install graceshut in the main thread: signals and the exit belong to the process, and a worker thread only ends itself',
    );
  }
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    const here = `${process.platform}-${process.arch}`;
    throw new GraceshutError('unsupported', `graceshut is built for linux-x64 with glibc, not for ${here}`);
  }
  try {
    addon = require('../graceshut.linux-x64-gnu.node');
  } catch (cause) {
    const message = `the addon graceshut.linux-x64-gnu.node cannot be loaded (${cause.message}); it needs glibc: not Alpine`;
    throw new GraceshutError('unsupported', message, { cause });
  }
  return addon;
}

module.exports = { load };
