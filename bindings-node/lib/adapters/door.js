'use strict';
// The listener of a server of HTTP, on its way out (spec 9.4): when it is closed, and what becomes of those who come meanwhile.

const net = require('node:net');
const { performance } = require('node:perf_hooks');
const { outside } = require('../hooks.js');
const { CONNECTION } = require('./connection.js');
const { isKnown } = require('./own-stop.js');
const { Leave } = require('./primary.js');
const { descriptor } = require('./sockets.js');

/** How often a drain looks. */
const LOOK_MS = 10;
/** Where the program closes the server in its own way: no newcomer for this long, and at most this long is waited for that. */
const EMPTIED_MS = 50;
const QUEUE_LIMIT_MS = 500;

/** After the next poll of the loop: what had arrived by then was seen. */
const turn = () => new Promise((done) => setTimeout(() => setImmediate(done), LOOK_MS));

class Door {
  constructor(served) {
    this.served = served;
    this.server = served.server;
    this.native = served.native;
    this.closed = false;
    /** The program stops this server in its own way (yieldTo). */
    this.yielded = false;
    /** When the last connection came. */
    this.lastCame = 0;
  }

  get isShut() {
    return this.closed || !this.server.listening;
  }

  drain(context) {
    this.context = context;
    this.linger = new this.native.Linger(context.remaining);
    if (!this.isShut) this.knock();
  }

  /** In a worker of node:cluster the listener is the primary's, which is told that this process leaves. */
  knock() {
    this.leave ??= new Leave(this.server, () => this.lastCame);
  }

  /** `asked`: work came since the last look; `connected`: by a new connection. */
  look(asked, connected, late) {
    if (this.isShut || this.yielded) return;
    const enough = () => this.linger.step(asked, this.served.hasSilentConnection(), descriptor(this.server), connected);
    if (late || (enough() && this.leave.toClose(this.context.remaining))) this.close();
  }

  newcomer(socket) {
    this.lastCame = performance.now();
    if ((socket?.destroyed || socket?.[CONNECTION]?.unwanted) && this.served.hasBegun()) this.yieldTo();
  }

  /** Who waited in the queue is heard: the program's own listeners would reset it. */
  admit(event, socket) {
    this.lastCame = performance.now();
    const heard = this.server.rawListeners(event).filter(isKnown);
    for (const listener of heard) listener.call(this.server, socket);
    return heard.length > 0;
  }

  /**
   * The program turns newcomers away itself, by a reset: better they meet no listener. The kernel turns them away from now on, who waits in
   * the accept queue is answered, and the listener is closed.
   */
  async yieldTo() {
    if (this.yielded || this.isShut) return;
    this.yielded = true;
    this.knock();
    const fd = descriptor(this.server);
    const until = performance.now() + QUEUE_LIMIT_MS;
    if (fd !== -1) {
      new this.native.Linger(0).step(false, false, fd, false); // without time for more it turns newcomers away at its first step
      this.lastCame = performance.now();
      do await turn();
      while (performance.now() - this.lastCame < EMPTIED_MS && performance.now() < until);
    }
    while (!this.isShut && !this.leave.toClose(2 * QUEUE_LIMIT_MS, true)) await turn();
    if (!this.isShut) outside(() => this.close());
  }

  /** Not close() of http.Server, which ends idle connections at once: they have their window. */
  close() {
    this.closed = true;
    this.leave?.end();
    const { server } = this;
    if (server instanceof net.Server) net.Server.prototype.close.call(server);
    else server.close(); // Bun: a class of its own
  }
}

module.exports = { Door, turn };
