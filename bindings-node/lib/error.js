'use strict';
// The one error class. Kinds and numbers are generated from the core (error-kinds.json, by build.mjs); a test compares.

const kinds = require('../error-kinds.json');

const codeOf = (kind) => `ERR_GRACESHUT_${kind.toUpperCase()}`;

class GraceshutError extends Error {
  /**
   * @param {string} kind what a program decides by
   * @param {string} message what a person reads
   */
  constructor(kind, message, options) {
    super(message, options);
    this.kind = kind;
    this.code = codeOf(kind);
    this.errno = kinds[kind] ?? 0;
  }
}
Object.defineProperty(GraceshutError.prototype, 'name', { value: 'GraceshutError', writable: true, configurable: true });

/** Work was refused because the process drains. Belongs to JavaScript alone: in the core it is a `None`, not an error. */
class DrainingError extends GraceshutError {
  constructor() {
    super('draining', 'the process is draining and takes no new work; answer 503 and close the connection');
  }
}
Object.defineProperty(DrainingError.prototype, 'name', { value: 'DrainingError', writable: true, configurable: true });

/** An error thrown by the addon (`kind: message`), as ours. In a sandbox (jest) the addon's Error is of another realm. */
function translate(error) {
  if (error instanceof GraceshutError) return error;
  const message = typeof error?.message === 'string' ? error.message : String(error);
  const at = message.indexOf(': ');
  const kind = message.slice(0, at);
  if (at > 0 && Object.hasOwn(kinds, kind)) return new GraceshutError(kind, message.slice(at + 2));
  return new GraceshutError('internal', `${message} (a bug in graceshut: please report it)`, { cause: error });
}

/** Calls into the addon; its errors come out as GraceshutError with the caller's own stack. */
function call(f, ...args) {
  try {
    return f(...args);
  } catch (error) {
    throw translate(error);
  }
}

module.exports = { GraceshutError, DrainingError, call, kinds };
