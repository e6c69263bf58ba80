'use strict';
// gs.wasm: one object says what the hook is and what the guest may; the core takes them apart.

const { fileURLToPath } = require('node:url');
const { GraceshutError } = require('./error.js');
const { describe, text } = require('./options.js');

/** The `wasm` key of a [[hook]] table, and the hook's own options. What the grants mean is judged by the core. */
function wasmSpec(file, options = {}) {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new GraceshutError('bad_value', `the options of a wasm hook have to be an object, not ${describe(options)}`);
  }
  const { name, timeout, after, optional, path, ...grants } = options;
  if (path !== undefined) throw new GraceshutError('bad_config', 'path: the file is the second argument; take the key out');
  const local = file instanceof URL && file.protocol === 'file:' ? fileURLToPath(file) : file;
  return { what: { ...grants, path: text(local, 'the file of a wasm hook') }, own: { name, timeout, after, optional } };
}

module.exports = { wasmSpec };
