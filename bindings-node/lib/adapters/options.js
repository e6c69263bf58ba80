'use strict';
// What the adapters have in common.

const { GraceshutError } = require('../error.js');
const { describe } = require('../options.js');

/** Emitted by an install when it is uninstalled: what was taken into care is let go. */
const CLOSED = Symbol('closed');

/** On a server of HTTP: tells of a request whether it is a part of work that was accepted (a poll of a session that goes on). */
const PART = Symbol('part');

/** The options of an adapter, or the error that names the key it does not have. */
function checked(options, adapter, keys) {
  if (options === undefined) return {};
  if (typeof options !== 'object' || options === null) {
    throw new GraceshutError('bad_value', `the options of ${adapter}() have to be an object, not ${describe(options)}`);
  }
  for (const key of Object.keys(options)) {
    if (!keys.includes(key)) throw new GraceshutError('bad_config', `unknown key "${key}" (${adapter}() has ${keys.join(', ')})`);
  }
  return options;
}

module.exports = { CLOSED, PART, checked };
