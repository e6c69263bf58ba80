'use strict';
// WebSocketServer of the package `ws`: every client gets a close frame with a code that says "come back", spread over time, so
// that they do not come back in one herd (ecosystems 3.10).

const { performance } = require('node:perf_hooks');
const { GraceshutError } = require('../error.js');
const { checked } = require('./options.js');

const CODE = 1001;
const REASON = 'going away';
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

/** Closes all clients over `spread` milliseconds and waits for their close handshakes. */
async function drain(server, { code, reason, spread }, context) {
  const told = new Set();
  const order = shuffled([...server.clients]);
  const most = (context.remaining ?? LONG_MS) / 2;
  const over = Math.min(spread ?? order.length * EACH_MS, most);
  const began = performance.now();
  const tell = (client) => {
    told.add(client);
    client.close(code, reason);
  };
  while (server.clients.size > 0) {
    if (context.signal.aborted) {
      for (const client of server.clients) client.terminate();
      return;
    }
    const passed = performance.now() - began;
    const due = passed >= over ? order.length : Math.floor((passed / over) * order.length);
    for (const client of order.slice(0, due)) if (!told.has(client)) tell(client);
    // Those that came meanwhile.
    if (due === order.length) for (const client of server.clients) if (!told.has(client)) tell(client);
    await new Promise((done) => setTimeout(done, LOOK_MS));
  }
}

function ws(gs, server, options) {
  const { code = CODE, reason = REASON, spread, name = 'ws', timeout } = checked(options, 'ws', ['name', 'timeout', 'code', 'reason', 'spread']);
  if (!(server?.clients instanceof Set)) {
    throw new GraceshutError('bad_value', 'ws() takes a WebSocketServer of the package ws that tracks its clients');
  }
  gs.hook('drain', (context) => drain(server, { code, reason, spread }, context), { name, timeout });
  return server;
}

module.exports = { ws };
