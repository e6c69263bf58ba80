'use strict';
// Programs that stop their server themselves at the signal, beside gs.http(): how they are told, and what their close() gets.

const { AsyncResource } = require('node:async_hooks');

/** Events of a new connection. */
const CONNECTED = new Set(['connection', 'secureConnection']);
/** Listeners for these that every server has. */
const NODES_OWN = new Set(['connectionListener', 'tlsConnectionListener']);
const OURS = Symbol('graceshut.listener');

/** Listeners for connections that are not Node's own: the program tracks them to end them itself, as http-terminator does. */
function watchesConnections(server) {
  return [...CONNECTED].some((event) => !server.listeners(event).every(isKnown));
}

const isKnown = (listener) => listener[OURS] || NODES_OWN.has(listener.name);

/** Our drain was first. For the program its close() is in order, not one of a server that does not run. */
function closedAlready(server, callback) {
  const done = AsyncResource.bind(() => callback.call(server));
  if (server._connections > 0) server.once('close', done);
  else process.nextTick(done);
  return server;
}

module.exports = { CONNECTED, OURS, closedAlready, isKnown, watchesConnections };
