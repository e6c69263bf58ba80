'use strict';
// Servers of node:http, node:https and node:http2, and of every framework on top of them (spec 4.1, 9.1).
//
// What clients lose when a server stops are requests that meet a reset: in a listener's accept queue, on a keep-alive connection
// closed while a request was on its way, in a socket closed with bytes unread. So, in this order:
// 1. announce: requests are served; answers say `Connection: close`; HTTP/2 sessions get a GOAWAY that refuses nothing yet.
// 2. drain: what is new is answered 503. A connection that stays idle for `window` is half-closed and read to its end.
// 3. The listener is closed when that cuts nobody off: core says when (spec 9.4).
// 4. Requests in flight end, and those that have no end of their own are ended (streams.js); at the soft deadline upgraded sockets are closed, at the hard one what is left is cut, and told.
//
// Cost of a request: one call, two atomic additions, one 'close' listener.

const { AsyncResource } = require('node:async_hooks');
const { performance } = require('node:perf_hooks');
const { GraceshutError } = require('../error.js');
const { outside } = require('../hooks.js');
const { describe, milliseconds } = require('../options.js');
const { ok, refuse } = require('./answers.js');
const { CONNECTION, Connection } = require('./connection.js');
const { Door, turn } = require('./door.js');
const { CONNECTED, OURS, closedAlready, watchesConnections } = require('./own-stop.js');
const { CLOSED, PART, checked } = require('./options.js');
const { serverOf } = require('./sockets.js');
const { endAnswer, endStream, isEndless } = require('./streams.js');

/** How long an idle connection has for one more request, which is answered, before it is closed. */
const WINDOW_MS = 500;
/** What is left of the hook's time when requests still in flight are cut. */
const CUT_MS = 100;
/** A stream number no session reaches: the first of the two GOAWAYs of RFC 9113 6.8. */
const ANY_STREAM = 2 ** 31 - 1;

const SERVED = Symbol.for('graceshut.http');

/** The client has its answer, or is gone. */
function onAnswerClose() {
  const connection = this.req.socket[CONNECTION];
  if (connection && !connection.gone) connection.served.answered(connection);
}

/** One server under our care. */
class Served {
  constructor(gs, native, work, server, { window = WINDOW_MS, ready, live, upgraded, endStreamsAfter }) {
    this.gs = gs;
    this.native = native;
    /** The process's work in flight. */
    this.work = work;
    this.server = server;
    this.window = window;
    this.probes = ready || live ? new Map([[ready, true], [live, false]]) : null;
    this.tell = upgraded;
    /** Milliseconds from the start of drain; undefined: streams are not ended. */
    this.endStreamsAfter = milliseconds(endStreamsAfter, 'endStreamsAfter');
    this.connections = new Set();
    this.sessions = new Set();
    /** HTTP/2 streams in flight, and their methods. */
    this.streams = new Map();
    this.stopping = gs.isStopping;
    /** Somebody came with work, since the drain looked last. */
    this.asked = false;
    /** And by a new connection. */
    this.connected = false;
    this.door = new Door(this);
    /** Requests in flight that a stop of the program's own has cut. */
    this.cutByProgram = 0;
    this.drained = false;
  }

  begin() {
    const { server, gs } = this;
    const secure = typeof server.setSecureContext === 'function';
    // What an HTTP/2 session reads is no connection of HTTP/1; a secure server may have both.
    const plain = !secure && typeof server.updateSettings !== 'function';
    // Before the program's own listeners, who may destroy the socket.
    const on = (event, f) => server.prependListener(event, Object.assign(f, { [OURS]: true }));
    if (plain) on('connection', (socket) => this.adopt(socket));
    else on('connection', () => this.came(true));
    if (secure) {
      on('secureConnection', (socket) => {
        if (socket.alpnProtocol !== 'h2') this.adopt(socket);
      });
    }
    server.on('session', (session) => {
      this.sessions.add(session);
      session.once('close', () => this.sessions.delete(session));
    });
    this.intercept();
    gs.stopping.then(() => this.announce());
  }

  /** Sees every request before any listener, whoever added it and when. */
  intercept() {
    const { server } = this;
    const served = this;
    const { emit, close } = server;
    const own = { emit: Object.hasOwn(server, 'emit'), close: Object.hasOwn(server, 'close') };
    server.emit = function (event, a, b) {
      if (event === 'request') return served.request(a, b) || emit.call(this, event, a, b);
      if (event === 'checkContinue' || event === 'checkExpectation') {
        if (served.request(a, b)) return true;
      } else if (event === 'stream') {
        if (served.stream(a, b)) return true;
      } else if (event === 'upgrade' || event === 'connect') {
        if (served.upgrade(a, b)) return true;
      } else if (event === 'timeout' || event === 'clientError') {
        const connection = (event === 'timeout' ? a : b)?.[CONNECTION];
        if (connection) connection.failed = true;
      }
      if (!CONNECTED.has(event)) return Reflect.apply(emit, this, arguments);
      if (served.door.yielded) return served.door.admit(event, a);
      const told = Reflect.apply(emit, this, arguments);
      served.door.newcomer(a);
      return told;
    };
    // Somebody else who closes the server at the signal would reset whoever waits in its queue: it gets its 'close' from us.
    server.close = function (callback) {
      if (served.door.closed && typeof callback === 'function') return closedAlready(this, callback);
      if (served.door.closed || !server.listening || !served.hasBegun()) return Reflect.apply(close, this, arguments);
      if (typeof callback === 'function') this.once('close', AsyncResource.bind(callback));
      if (watchesConnections(this)) served.door.yieldTo();
      return this;
    };
    const [ourEmit, ourClose] = [server.emit, server.close];
    this.release = () => {
      if (server.emit === ourEmit) own.emit ? (server.emit = emit) : delete server.emit;
      if (server.close === ourClose) own.close ? (server.close = close) : delete server.close;
      delete server[SERVED];
    };
  }

  hasBegun() {
    try {
      return this.stopping || this.native.hasBegun();
    } catch {
      return false; // uninstalled
    }
  }

  /** Idle connections are ours to end. */
  holds() {
    return !this.drained && this.hasBegun();
  }

  adopt(socket) {
    const known = socket[CONNECTION];
    if (known) return known;
    const connection = new Connection(this, socket);
    this.connections.add(connection);
    if (this.stopping) connection.rest(performance.now());
    socket.once('close', () => {
      clearTimeout(connection.timer);
      connection.gone = true;
      this.connections.delete(connection);
      for (; connection.open > 0; connection.open--) this.work.leave();
    });
    return connection;
  }

  // ---- what arrives: true when it was answered here ----

  request(request, answer) {
    if (request.httpVersionMajor > 1) return false; // seen as a stream
    const connection = request.socket[CONNECTION] ?? this.adopt(request.socket);
    if (connection.answer === answer) return false; // 'checkContinue', then 'request'
    const first = connection.silent;
    connection.silent = false;
    if (connection.leaving) {
      request.resume(); // its client was told to leave
      return true;
    }
    if (this.probes !== null && this.probe(request, answer, connection)) return true;
    if (this.stopping) this.came(first);
    if (!this.work.tryEnter() && !this.isPart(request)) {
      connection.last(answer);
      refuse(request, answer, 'draining');
      request.resume();
      return true;
    }
    connection.open++;
    connection.answer = answer;
    answer.on('close', onAnswerClose);
    if (this.stopping) connection.last(answer);
    return false;
  }

  /** Counted in, though new work is refused. */
  isPart(request) {
    if (!this.server[PART]?.(request)) return false;
    this.work.enterPart();
    return true;
  }

  /** Somebody comes with work: the listener stays. Probes do not count, they go on to the end. */
  came(connected) {
    this.asked = true;
    if (connected) this.connected = true;
  }

  answered(connection) {
    connection.open--;
    this.work.leave();
    if (this.stopping) connection.rest(performance.now());
  }

  probe(request, answer, connection) {
    const readiness = this.probes.get(request.url);
    if (readiness === undefined) return false;
    if (this.stopping) connection.last(answer);
    if (readiness && this.gs.isStopping) refuse(request, answer, 'stopping');
    else ok(answer);
    request.resume();
    return true;
  }

  stream(stream, headers) {
    this.came(false);
    if (this.work.tryEnter()) {
      this.streams.set(stream, headers[':method']);
      stream.once('close', () => {
        this.streams.delete(stream);
        this.work.leave();
      });
      return false;
    }
    stream.respond({ ':status': 503, 'content-type': 'text/plain', 'retry-after': '1' });
    stream.end('draining\n');
    return true;
  }

  upgrade(request, socket) {
    if (this.gs.isDraining) {
      socket.end('HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
      return true;
    }
    const connection = this.adopt(socket);
    connection.silent = false;
    connection.upgraded = true;
    return false;
  }

  // ---- the way out ----

  announce() {
    this.stopping = true;
    const now = performance.now();
    for (const connection of this.connections) {
      if (connection.open > 0) connection.last(connection.answer);
      else connection.rest(now);
    }
    for (const session of this.sessions) if (!session.closed) session.goaway(0, ANY_STREAM);
  }

  async drain(context) {
    if (!this.stopping) this.announce();
    const began = performance.now();
    this.door.drain(context);
    const upgraded = [...this.connections].filter((c) => c.upgraded);
    if (this.tell) for (const { socket } of upgraded) this.tell(socket, context);
    while (!this.isOver()) {
      await turn();
      // 'close' listeners of the program follow from it, and may exit.
      outside(() => this.look(began, context.signal.aborted));
      if (context.signal.aborted && context.remaining !== null && context.remaining < CUT_MS) outside(() => this.cut());
    }
    this.drained = true;
    await new Promise(setImmediate); // they have run
    if (this.cutByProgram > 0) throw new Error(`${this.cutByProgram} requests in flight were cut by the program's own stop`);
  }

  isOver() {
    return this.door.isShut && this.connections.size === 0 && this.sessions.size === 0;
  }

  look(began, late) {
    const now = performance.now();
    const waited = now - began;
    const { asked, connected } = this;
    this.asked = this.connected = false;
    this.door.look(asked, connected, late);
    if (waited >= this.endStreamsAfter) this.endStreams();
    for (const connection of this.connections) {
      if (connection.leaving) continue;
      if (connection.upgraded) {
        if (late) connection.end();
      } else if (connection.open === 0) {
        const idle = now - Math.max(connection.idleSince, began) >= this.window && connection.socket.bytesRead === connection.read;
        if (idle || late) connection.endIdle();
      }
    }
    if (waited >= this.window || late) for (const session of this.sessions) if (!session.closed) session.close();
  }

  endStreams() {
    for (const { open, answer } of this.connections) if (open > 0 && isEndless(answer, answer.req.method)) endAnswer(answer.req, answer);
    for (const [stream, method] of this.streams) if (isEndless(stream, method)) endStream(stream);
  }

  hasSilentConnection() {
    for (const connection of this.connections) if (connection.silent && !connection.leaving) return true;
    return false;
  }

  /** The time is over: for requests still in flight, which is told, and for clients that do not answer a FIN, which is not. */
  cut() {
    let requests = this.streams.size;
    this.drained = true;
    for (const connection of [...this.connections]) {
      requests += connection.open;
      connection.cut();
    }
    for (const session of [...this.sessions]) session.destroy();
    if (requests > 0) throw new Error(`${requests} requests in flight were cut when the time of drain was over`);
  }
}

/** The servers of an install, which lets them go when it ends. One listener for all: more than ten would make Node warn. */
const all = new WeakMap();

function remember(gs, served) {
  let servers = all.get(gs);
  if (!servers) {
    servers = new Set();
    all.set(gs, servers);
    gs.once(CLOSED, () => servers.forEach((s) => s.release()));
  }
  servers.add(served);
}

/** Takes `server` into care; answers it. A second time does nothing. */
function http(gs, native, work, given, givenOptions) {
  const options = checked(givenOptions, 'http', ['name', 'timeout', 'ready', 'live', 'window', 'upgraded', 'endStreamsAfter']);
  const { window } = options;
  if (window !== undefined && !(Number.isFinite(window) && window >= 0)) {
    throw new GraceshutError('bad_time', `window is a number of milliseconds, not ${typeof window === 'number' ? window : describe(window)}`);
  }
  const server = serverOf(given);
  if (!server) throw new GraceshutError('bad_value', `http() takes a server of node:http, node:https or node:http2, not ${describe(given)}`);
  if (server[SERVED] === gs) return given;
  const served = new Served(gs, native, work, server, options);
  gs.hook('drain', (context) => served.drain(context), { name: options.name ?? 'http', timeout: options.timeout });
  Object.defineProperty(server, SERVED, { value: gs, configurable: true });
  gs.serving = true;
  served.begin();
  remember(gs, served);
  return given;
}

module.exports = { http };
