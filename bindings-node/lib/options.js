'use strict';
// From JavaScript values to the JSON the core reads: camelCase keys become those of graceshut.toml, numbers stay milliseconds,
// what JSON cannot say (NaN, the infinities) becomes text that the core then refuses by name.

const { GraceshutError } = require('./error.js');

const DEEPEST = 16;

/** @param {string} text @returns {boolean} false with a lone surrogate, which no UTF-8 can hold */
const isWellFormed = (text) => (text.isWellFormed ? text.isWellFormed() : !/\p{Surrogate}/u.test(text));

const snake = (key) => key.replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`);

function isTable(value) {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Text that has to be there. */
function text(value, what) {
  if (value === undefined || value === null) throw new GraceshutError('null', `${what} is missing`);
  if (typeof value !== 'string') throw new GraceshutError('bad_value', `${what} has to be a string, not ${describe(value)}`);
  if (!isWellFormed(value)) {
    throw new GraceshutError('not_utf8', `${what} (${JSON.stringify(value)}) holds a lone surrogate, which is no text`);
  }
  return value;
}

function describe(value) {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  const type = typeof value;
  return type === 'object' || type === 'undefined' ? `${type === 'object' ? 'an object' : type}` : `a ${type}`;
}

/** A plain copy that JSON can say; undefined and null are left out. */
function plain(value, key, depth = 0) {
  if (value instanceof URL || Object.prototype.toString.call(value) === '[object URL]') return value.href;
  switch (typeof value) {
    case 'string':
      return text(value, key);
    case 'boolean':
      return value;
    case 'number':
      return Number.isFinite(value) ? value : String(value);
    case 'object':
      break;
    default:
      throw new GraceshutError('bad_config', `${key}: ${describe(value)} means nothing here`);
  }
  if (depth > DEEPEST) throw new GraceshutError('bad_config', `${key}: nested too deeply (does it hold itself?)`);
  if (Array.isArray(value)) {
    return value.map((item, i) => {
      if (item === undefined || item === null) throw new GraceshutError('bad_config', `${key}[${i}] is ${describe(item)}`);
      return plain(item, `${key}[${i}]`, depth + 1);
    });
  }
  const copy = Object.create(null);
  for (const [name, item] of Object.entries(value)) {
    if (item === undefined || item === null) continue;
    const path = key ? `${key}.${text(name, 'a key')}` : text(name, 'a key');
    copy[name] = plain(item, path, depth + 1);
  }
  return copy;
}

/** The same table with its own keys, not those below, in snake_case. */
function renamed(table, at, special = {}) {
  if (!isTable(table)) return table;
  const out = Object.create(null);
  for (const [key, value] of Object.entries(table)) {
    const name = special[key] ?? snake(key);
    if (name in out) throw new GraceshutError('bad_config', `${at}${key} is given twice, as ${name} too; keep one`);
    out[name] = value;
  }
  return out;
}

/** The options of install as JSON text. */
function optionsJson(options) {
  if (options === undefined) return '{}';
  if (options === null) throw new GraceshutError('null', 'the options are null; leave them out for the defaults');
  if (!isTable(options)) throw new GraceshutError('bad_value', `the options have to be an object, not ${describe(options)}`);
  const table = renamed(plain(options, ''), '', { hooks: 'hook' });
  if (isTable(table.phases)) {
    for (const [name, patch] of Object.entries(table.phases)) table.phases[name] = renamed(patch, `phases.${name}.`);
  }
  return JSON.stringify(table);
}

/** One hook as the JSON of a [[hook]] table. `kind`: which key says what it does, and its value. */
function hookJson(phase, name, options, kind, value) {
  const given = options ?? {};
  if (!isTable(given)) throw new GraceshutError('bad_value', `the options of a hook have to be an object, not ${describe(given)}`);
  for (const key of Object.keys(given)) {
    if (!['name', 'timeout', 'after', 'optional'].includes(key)) {
      throw new GraceshutError('bad_config', `unknown key "${key}" (the keys here are name, timeout, after, optional)`);
    }
  }
  const table = plain(given, '');
  table.phase = text(phase, 'the phase');
  if (given.name !== undefined && given.name !== null) table.name = text(given.name, 'the name of a hook');
  else if (name) table.name = name;
  if (value === undefined || value === null) throw new GraceshutError('null', `the ${kind} hook does not say what to do`);
  table[kind] = plain(value, kind);
  return JSON.stringify(table);
}

/** Milliseconds of a time that stays in JavaScript; undefined for none. */
function milliseconds(value, key) {
  if (value === undefined || value === null) return undefined;
  const [, digits, unit] = typeof value === 'string' ? (/^(\d+)(ms|s|m|h)$/.exec(value) ?? []) : [];
  const ms = typeof value === 'number' ? value : Number(digits) * UNITS[unit];
  if (Number.isFinite(ms) && ms >= 0) return ms;
  const given = typeof value === 'string' ? JSON.stringify(value) : typeof value === 'number' ? value : describe(value);
  throw new GraceshutError('bad_time', `${key} is a number of milliseconds or text such as "500ms" or "2s", not ${given}`);
}
const UNITS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** One time as JSON text; empty for none. */
function timeJson(value, key) {
  return value === undefined || value === null ? '' : JSON.stringify(plain(value, key));
}

module.exports = { optionsJson, hookJson, timeJson, milliseconds, text, describe };
