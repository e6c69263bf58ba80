'use strict';
// Any server: its listener and two callbacks of its own (spec 9.5). What gs.http() does for HTTP, as far as it can be done for a
// protocol that graceshut does not speak: refused in words from the start of `drain`, closed over an empty accept queue.

const { AsyncResource } = require('node:async_hooks');
const net = require('node:net');
const { performance } = require('node:perf_hooks');
const { GraceshutError } = require('../error.js');
const { outside } = require('../hooks.js');
const { turn } = require('./door.js');
const { CLOSED, checked } = require('./options.js');
const { Leave } = require('./primary.js');
const { descriptorsOf, descriptor, isServer, serverOf } = require('./sockets.js');

/** What is left of the hook's time when it says that work has not ended. */
const LAST_MS = 100;

/** What the program holds: its own units of work, and what the server should say of itself. */
class ListenerHandle {
  #listener;
  constructor(listener) {
    this.#listener = listener;
  }
  /** True from the trigger on: answers should say that the connection closes. */
  get stopping() {
    return this.#listener.gs.isStopping;
  }
  /** True from the start of drain on: what is new is to be refused. */
  get draining() {
    return this.#listener.gs.isDraining;
  }
  tryEnter() {
    return this.#listener.enter();
  }
  leave() {
    this.#listener.leave();
  }
  /** A guard, or null from drain on. */
  enter() {
    if (!this.tryEnter()) return null;
    let open = true;
    const leave = () => {
      if (open) this.leave();
      open = false;
    };
    return { leave, [Symbol.dispose ?? Symbol.for('nodejs.dispose')]: leave };
  }
}

class Listener {
  constructor(gs, native, work, listener, { close, refuse }) {
    Object.assign(this, { gs, native, work, close, refuse });
    this.server = serverOf(listener);
    this.port = typeof listener === 'number' ? listener : listener?.port;
    /** Units of this server. */
    this.open = 0;
    /** Somebody came, and by a new connection, since the drain looked last. */
    this.came = false;
    this.connected = false;
    this.lastCame = 0;
    this.closing = false;
    this.silent = new Set();
    if (this.server) this.watch();
  }

  enter() {
    this.came = true;
    if (!this.work.tryEnter()) return false;
    this.open++;
    return true;
  }

  leave() {
    this.open--;
    this.work.leave();
  }

  /** Connections that have not said anything yet; and a close() of somebody else at the signal waits for ours. */
  watch() {
    const { server, silent } = this;
    const connected = (socket) => {
      this.came = this.connected = true;
      this.lastCame = performance.now();
      if (typeof socket?.once !== 'function' || typeof socket.on !== 'function') return;
      silent.add(socket);
      socket.once('close', () => silent.delete(socket));
    };
    server.on('connection', connected);
    const own = Object.hasOwn(server, 'close');
    const { close } = server;
    const held = (...args) => {
      if (this.closing || !server.listening || !this.hasBegun()) return Reflect.apply(close, server, args);
      const [callback] = args;
      if (typeof callback === 'function') server.once('close', AsyncResource.bind(callback));
      return server;
    };
    server.close = held;
    this.gs.once(CLOSED, () => {
      server.off('connection', connected);
      if (server.close !== held) return;
      if (own) server.close = close;
      else delete server.close;
    });
  }

  hasBegun() {
    try {
      return this.gs.isStopping || this.native.hasBegun();
    } catch {
      return false; // uninstalled
    }
  }

  /** A connection that was accepted and whose first bytes are still on their way. */
  busy() {
    for (const socket of this.silent) {
      if (!socket.bytesRead && !socket.bytesWritten) return true;
      this.silent.delete(socket);
    }
    return false;
  }

  get descriptor() {
    if (this.server) return this.server.listening === false ? undefined : descriptor(this.server);
    this.found ??= descriptorsOf(this.port)[0];
    return this.found;
  }

  async drain(context) {
    await this.refuse?.(context);
    const linger = new this.native.Linger(context.remaining);
    const fd = this.descriptor;
    const leave = this.server ? new Leave(this.server, () => this.lastCame) : null;
    while (fd !== undefined && !context.signal.aborted) {
      await turn();
      const { came, connected } = this;
      this.came = this.connected = false;
      if (linger.step(came, this.busy(), fd, connected) && (leave?.toClose(context.remaining) ?? true)) break;
    }
    leave?.end();
    this.closing = true;
    await this.close(context);
    while (this.open > 0) {
      await turn();
      if (context.signal.aborted && context.remaining !== null && context.remaining < LAST_MS) {
        throw new Error(`${this.open} units of work were in flight when the time of drain was over`);
      }
    }
  }
}

/** `close` of a net.Server: resolves when its last connection has ended. */
const closeOf = (server) => () =>
  new Promise((done, fail) => {
    outside(() => server.close((error) => (error && error.code !== 'ERR_SERVER_NOT_RUNNING' ? fail(error) : done())));
  });

function listener(gs, native, work, given, givenOptions) {
  const options = checked(givenOptions, 'listener', ['name', 'timeout', 'close', 'refuse']);
  const server = serverOf(given);
  const port = typeof given === 'number' ? given : given?.port;
  if (!server && !(Number.isInteger(port) && port > 0 && port < 65536)) {
    throw new GraceshutError('bad_value', 'listener() takes a server that listens (net.Server or one like it), or the number of its port');
  }
  const close = options.close ?? (server instanceof net.Server || isServer(server) ? closeOf(server) : undefined);
  for (const [key, f] of [['close', close], ['refuse', options.refuse ?? (() => {})]]) {
    if (typeof f !== 'function') throw new GraceshutError('bad_value', `${key} of listener() has to be a function: the server's own stop`);
  }
  const it = new Listener(gs, native, work, given, { close, refuse: options.refuse });
  gs.hook('drain', (context) => it.drain(context), { name: options.name ?? 'server', timeout: options.timeout });
  gs.serving = true;
  return new ListenerHandle(it);
}

module.exports = { listener };
