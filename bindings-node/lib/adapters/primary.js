'use strict';
// The listener of node:cluster. Under round robin it is the primary's alone: its workers see no accept queue, and when the last of them
// has closed, Node closes the listener over the clients that wait in it. So a worker that would close asks the primary first, where gs.cluster()
// answers: when all workers that listen have asked, newcomers are turned away, what waits is handed out, and all of them may close (spec 9.4).
//
// The messages are of Node's internal kind, by the prefix of `cmd`: no 'message' listener of the program hears them. A primary without
// gs.cluster() and a Node that knows no such kind do not answer, and the worker closes as it would without having asked.

const cluster = require('node:cluster');
const { performance } = require('node:perf_hooks');
const { CLOSED } = require('./options.js');
const { descriptorsOf } = require('./sockets.js');

const CMD = 'NODE_GRACESHUT';
/** Within this time from the start of drain a worker hears that its primary answers. */
const ANSWER_MS = 500;
/** How long a worker that has asked waits at most, and never more than half of what its hook has left. */
const LEAVE_MS = 4000;
/** How long the primary waits for workers that have not asked, once one of them has. */
const LATE_MS = 2000;
/** How long what was handed out may take to be taken. */
const TAKEN_MS = 500;
const LOOK_MS = 10;

const nothing = () => {};
const turn = () => new Promise((done) => setTimeout(done, LOOK_MS));

const say = (process, message) => process.connected && process.send({ cmd: CMD, ...message }, undefined, undefined, nothing);

// ---- a worker ----

/** The leave that servers of this process wait for. */
const asking = new Set();

function hear(message) {
  if (message?.cmd === CMD) for (const leave of asking) if (leave.port === message.port) leave.hear(message.act);
}

/** A worker's leave to close its listener. */
class Leave {
  /** `lastCame` tells when the last connection came. */
  constructor(server, lastCame) {
    this.port = cluster.isWorker && process.connected && typeof process.send === 'function' ? server.address?.()?.port : undefined;
    this.lastCame = lastCame;
    this.looked = 0;
    this.answers = false;
    this.given = !Number.isInteger(this.port);
    if (this.given) return;
    this.answerUntil = performance.now() + ANSWER_MS;
    if (asking.size === 0) process.on('internalMessage', hear);
    asking.add(this);
    say(process, { act: 'drains', port: this.port });
  }

  hear(act) {
    this.answers = true;
    if (act === 'close') this.end();
    if (act !== 'look') return;
    const last = this.lastCame();
    say(process, { act: 'seen', port: this.port, came: last > this.looked });
    this.looked = last;
  }

  /** To be called every few milliseconds by who would close: true when it may. */
  toClose(remaining, hurry = false) {
    if (this.given) return true;
    const now = performance.now();
    if (this.until === undefined && this.answers) {
      this.until = now + Math.min(LEAVE_MS, (remaining ?? Infinity) / 2);
      say(process, { act: 'asks', port: this.port, hurry });
    }
    if (!process.connected || now >= (this.until ?? this.answerUntil)) this.end();
    return this.given;
  }

  end() {
    this.given = true;
    asking.delete(this);
    if (asking.size === 0) process.off('internalMessage', hear);
  }
}

// ---- the primary ----

/** The listeners of one port, from the first worker that drains to the leave of all. */
class Door {
  constructor(doors, port, worker) {
    this.doors = doors;
    this.port = port;
    /** Workers that have told of this port, and whether they have asked. */
    this.workers = new Map([[worker, false]]);
    /** What those that were looked at have answered. */
    this.seen = new Map();
    this.firstAsked = Infinity;
    this.hurry = false;
    this.open = false;
    const { Linger } = doors.native;
    this.listeners = descriptorsOf(port).map((fd) => ({ fd, linger: new Linger(doors.remaining()) }));
    this.run();
  }

  ask(worker, hurry) {
    if (this.open) return this.doors.say(worker, 'close', this.port);
    this.workers.set(worker, true);
    this.firstAsked = Math.min(this.firstAsked, performance.now());
    this.hurry ||= hurry;
    return undefined;
  }

  /** Those whose leave matters: they listen, and are there. */
  waiting() {
    for (const worker of this.doors.listening(this.port)) if (!this.workers.has(worker)) this.workers.set(worker, false);
    return [...this.workers].filter(([worker]) => worker.isConnected() && !worker.isDead());
  }

  async run() {
    for (;;) {
      const waiting = this.waiting();
      if (waiting.length === 0) break;
      if (waiting.every(([, asked]) => asked) || performance.now() - this.firstAsked >= LATE_MS) break;
      await turn();
    }
    // Without time for more it turns newcomers away at its first step.
    if (this.hurry) for (const { fd } of this.listeners) new this.doors.native.Linger(0).step(false, false, fd, false);
    while (this.waiting().length > 0 && !this.isEmpty()) await turn();
    const until = performance.now() + TAKEN_MS;
    while (performance.now() < until && (await this.hasHandedOut(until)));
    this.open = true;
    for (const [worker, asked] of this.workers) if (asked) this.doors.say(worker, 'close', this.port);
  }

  isEmpty() {
    return this.listeners.map(({ fd, linger }) => linger.step(false, false, fd, false)).every(Boolean);
  }

  /**
   * True when a worker was given a connection since it was looked at last. What the primary has accepted waits in it for a worker that is
   * free: while any does, each worker is given one between two looks, because messages keep their order.
   */
  async hasHandedOut(until) {
    this.seen.clear();
    const looked = this.waiting().filter(([, asked]) => asked).map(([worker]) => worker);
    for (const worker of looked) this.doors.say(worker, 'look', this.port);
    while (performance.now() < until && !looked.every((worker) => this.seen.has(worker) || !worker.isConnected())) await turn();
    return [...this.seen.values()].some(Boolean);
  }
}

class Doors {
  constructor(gs, native) {
    this.native = native;
    this.byPort = new Map();
    this.ports = new WeakMap();
    /** What the hook of the primary has left; null: no limit. */
    this.remaining = () => null;
    const listening = (worker, { port }) => this.ports.set(worker, (this.ports.get(worker) ?? new Set()).add(port));
    const heard = new WeakSet();
    const forked = (worker) => {
      if (heard.has(worker)) return; // forked just before: its event is yet to come
      heard.add(worker);
      worker.process.on('internalMessage', (message) => this.hear(worker, message));
    };
    cluster.on('listening', listening).on('fork', forked);
    gs.once(CLOSED, () => {
      this.closed = true;
      cluster.off('listening', listening).off('fork', forked);
    });
    Object.values(cluster.workers ?? {}).forEach(forked);
  }

  listening(port) {
    return Object.values(cluster.workers ?? {}).filter((worker) => this.ports.get(worker)?.has(port));
  }

  say(worker, act, port) {
    say(worker.process, { act, port });
  }

  hear(worker, message) {
    if (message?.cmd !== CMD || this.closed) return;
    const { act, port } = message;
    if (act === 'seen') this.byPort.get(port)?.seen.set(worker, message.came === true);
    else if (!this.native.hasBegun()) this.say(worker, act === 'asks' ? 'close' : 'here', port); // one worker leaves, its siblings go on
    else {
      if (!this.byPort.has(port)) this.byPort.set(port, new Door(this, port, worker));
      const door = this.byPort.get(port);
      if (act === 'asks') door.ask(worker, message.hurry === true);
      else {
        if (!door.workers.has(worker)) door.workers.set(worker, false);
        this.say(worker, 'here', port);
      }
    }
  }
}

module.exports = { Doors, Leave };
