'use strict';
// Long connections are closed spread over time, so that their clients do not come back in one herd (ecosystems 3.10).

const { performance } = require('node:perf_hooks');

/** Time between two closes when nobody says otherwise; the whole takes at most half of what the hook has. */
const EACH_MS = 10;
const LOOK_MS = 10;
/** When there is no deadline. */
const LONG_MS = 10_000;

function shuffled(list) {
  for (let i = list.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1));
    [list[i], list[j]] = [list[j], list[i]];
  }
  return list;
}

/**
 * Closes all clients over `spread` milliseconds and waits until they are gone; at the soft deadline those left are cut off.
 * @param {() => object[]} clients those there are now
 */
async function closeAll({ clients, close, cut, spread }, context) {
  const told = new Set();
  const order = shuffled(clients());
  const most = (context.remaining ?? LONG_MS) / 2;
  const over = Math.min(spread ?? order.length * EACH_MS, most);
  const began = performance.now();
  const tell = (client) => {
    if (told.has(client)) return;
    told.add(client);
    close(client);
  };
  for (let left = clients(); left.length > 0; left = clients()) {
    if (context.signal.aborted) return left.forEach(cut);
    const passed = performance.now() - began;
    const due = passed >= over ? order.length : Math.floor((passed / over) * order.length);
    const there = new Set(left);
    for (const client of order.slice(0, due)) if (there.has(client)) tell(client);
    // Those that came meanwhile.
    if (due === order.length) left.forEach(tell);
    await new Promise((done) => setTimeout(done, LOOK_MS));
  }
}

module.exports = { closeAll };
