'use strict';
// What the core tells, as programs see it.

/** What `value` means depends on the event; times are milliseconds here. */
const MEANING = {
  phase_start: (value) => ({ budget: value / 1000 }),
  hook_start: (value) => ({ budget: value / 1000 }),
  deadline: (value) => ({ deadline: value / 1000 }),
  progress: (done, total) => ({ done, total }),
  finished: (exitCode) => ({ exitCode }),
};

function viewOf({ event, at_us: atUs, value, total, ...rest }) {
  const meaning = value === undefined ? {} : (MEANING[event]?.(value, total) ?? { value });
  return { event, at: atUs / 1000, ...rest, ...meaning };
}

/** String(plan) and String(config) are their tables for people. */
function withText({ text: table, ...rest }) {
  return Object.defineProperty(rest, 'toString', { value: () => table });
}

module.exports = { viewOf, withText };
