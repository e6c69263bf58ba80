'use strict';
// WebSocketServer of the package `ws`: every client gets a close frame with a code that says "come back". Server of `socket.io`: the
// same for the connections of its engine.

const { GraceshutError } = require('../error.js');
const { PART, checked } = require('./options.js');
const { closeAll } = require('./spread.js');

const CODE = 1001;
const REASON = 'going away';

function ws(gs, server, options) {
  const { code = CODE, reason = REASON, spread, name = 'ws', timeout } = checked(options, 'ws', ['name', 'timeout', 'code', 'reason', 'spread']);
  if (typeof server?.clients?.size !== 'number' || typeof server.clients[Symbol.iterator] !== 'function') {
    const instead = server?.engine ? '; for a server of socket.io there is gs.socketio()' : '';
    throw new GraceshutError('bad_value', `ws() takes a WebSocketServer of the package ws that tracks its clients${instead}`);
  }
  const all = {
    clients: () => [...server.clients],
    close: (client) => client.close(code, reason),
    cut: (client) => client.terminate(),
    spread,
  };
  gs.hook('drain', (context) => closeAll(all, context), { name, timeout });
  return server;
}

/** Of polling clients a session is many requests: those of one that lives are let through in `drain`, so that it can be closed. */
function letPollsThrough(io) {
  const server = io.httpServer;
  if (!server || server[PART]) return;
  server[PART] = ({ url }) => {
    const [, session] = /[?&]sid=([^&]*)/.exec(url) ?? [];
    return session !== undefined && Object.hasOwn(io.engine?.clients ?? {}, session);
  };
}

/**
 * The engine's connection is closed, not the socket: a client whose server calls disconnect() takes it for an order and stays
 * away, one whose transport closes comes back by itself. The server itself is closed when its listener is: in `close`.
 */
function socketio(gs, io, options) {
  const { spread, name = 'socket.io', timeout } = checked(options, 'socketio', ['name', 'timeout', 'spread']);
  if (typeof io?.attach !== 'function' || typeof io.of !== 'function') {
    throw new GraceshutError('bad_value', 'socketio() takes a Server of the package socket.io');
  }
  const all = {
    clients: () => Object.values(io.engine?.clients ?? {}),
    close: (client) => client.close(),
    cut: (client) => client.close(true),
    spread,
  };
  letPollsThrough(io);
  const drain = (context) => {
    letPollsThrough(io); // attached since
    return closeAll(all, context);
  };
  gs.hook('drain', drain, { name, timeout });
  gs.hook('close', () => new Promise((done) => io.close(() => done())), { name });
  return io;
}

module.exports = { socketio, ws };
