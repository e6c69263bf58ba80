'use strict';
// One install, as programs see it.

const { EventEmitter } = require('node:events');
const { channel } = require('node:diagnostics_channel');
const { performance } = require('node:perf_hooks');
const { isMainThread } = require('node:worker_threads');
const { GraceshutError, call } = require('./error.js');
const { HostEnd } = require('./host-end.js');
const { Hooks, inside, words } = require('./hooks.js');
const { InFlight, WorkerInFlight } = require('./inflight.js');
const { load } = require('./native.js');
const { optionsJson, hookJson, timeJson, text, describe } = require('./options.js');
const { CLOSED: LET_GO } = require('./adapters/options.js');
const { Signals, listened } = require('./signals.js');
const { viewOf, withText } = require('./views.js');
const { wasmSpec } = require('./wasm.js');

const HOOK = 0;
const CANCEL = 1;
const EVENT = 2;
const FINISHED = 3;
const RELOAD = 4;
const LEAVE = 5;
const CLOSED = 6;

/** Number of the main thread's environment. */
const MAIN = 0;

/** How long the last events may take after the core wants to leave, in milliseconds. */
const LAST_EVENTS = 100;

/** Longer than any shutdown; setInterval's own limit. */
const FOREVER = 0x7fffffff;

/**
 * State of the realm, also when the package was loaded twice (two copies in node_modules, a test runner's registry): `current`, `groups`.
 * A Map: what jest takes away from the globals of a file that is over are properties, and an install may outlive its file.
 */
const shared = (globalThis[Symbol.for('graceshut@0')] ??= new Map([['current', null], ['groups', new Map()]]));

function deferred() {
  const d = {};
  d.promise = new Promise((resolve, reject) => Object.assign(d, { resolve, reject }));
  // Nobody has to listen.
  d.promise.catch(() => {});
  return d;
}

/** A registered hook. */
class HookHandle {
  #remove;
  constructor(id, remove) {
    this.id = id;
    this.#remove = remove;
  }
  /** 'removed', or 'running' / 'done' when it is too late. */
  remove() {
    return this.#remove();
  }
}

class Graceshut extends EventEmitter {
  #native;
  /** The number of this thread's environment; of a worker thread, once it has joined. */
  #env = MAIN;
  #hooks;
  #reloads = new Map();
  #inflight;
  #hostEnd = null;
  #signals;
  #manual;
  #closed = false;
  #serving = false;
  #isStopping = false;
  #begun = 0;
  #keepAlive;
  #stopping = deferred();
  #draining = deferred();
  #drainSignal;
  #finished = deferred();
  #waits = false;
  #leaving = false;
  #last = { report: null };

  constructor(native) {
    super();
    this.#native = native;
    this.#hooks = new Hooks(native, () => this.reason);
  }

  /** The dispatcher the core posts to. */
  static post(gs) {
    return (kind, a, b, json) => gs.#onMessage(kind, a, b, json);
  }

  static installed(gs, sandboxed) {
    const native = gs.#native;
    gs.#inflight = group(native, '', MAIN);
    gs.#manual = native.isManual();
    gs.#signals = new Signals(native, sandboxed);
    if (!gs.#manual) gs.#hostEnd = new HostEnd(native, () => gs.#begin(), () => [...shared.get('groups').keys()]);
  }

  /** As `installed`, for a worker thread: signals and the exit are the main thread's. */
  static joined(gs, env) {
    gs.#env = env;
    gs.#inflight = group(gs.#native, '', env);
    gs.#manual = true;
    if (gs.#native.state()[0] === 'stopping') gs.#begin();
  }

  #open() {
    if (this.#closed) throw new GraceshutError('closed', 'this runtime was uninstalled; call install again');
    return this.#native;
  }

  /** A shutdown is under way: the loop stays until it is over. */
  #begin() {
    if (!this.#isStopping) {
      this.#isStopping = true;
      this.#begun = performance.now();
      this.#keepAlive = setInterval(() => {}, FOREVER);
      this.#stopping.resolve();
    }
    if (this.#inflight.word === 2) this.#draining.resolve();
  }

  #onMessage(kind, a, b, json) {
    if (this.#closed) return;
    if (kind === EVENT) return this.#onEvent(JSON.parse(json));
    if (kind === RELOAD) return this.#onReload(a, b);
    if (kind === CLOSED) return this.#close();
    this.#begin();
    if (kind === HOOK) this.#hooks.start(a);
    else if (kind === CANCEL) this.#hooks.cancel(a);
    else if (kind === FINISHED) this.#onFinished(a | 0);
    else if (kind === LEAVE) this.#onLeave(a | 0);
  }

  #onEvent(raw) {
    const { event } = raw;
    if (event === 'trigger' || this.#native.state()[0] === 'stopping') this.#begin();
    const view = viewOf(raw);
    // A listener that throws is an uncaught error of its own, and keeps nothing else from being told.
    for (const name of [event, 'event']) {
      try {
        const subscribed = channel(`graceshut:${name}`);
        if (subscribed.hasSubscribers) subscribed.publish(view);
        this.emit(name, view);
      } catch (error) {
        process.nextTick(() => {
          throw error;
        });
      }
    }
  }

  #onFinished(exitCode) {
    if (this.#last.report) return;
    const report = this.report();
    this.#last.report = report;
    this.#stopping.resolve();
    this.#draining.resolve();
    this.#finished.resolve({ exitCode, report });
    if (this.#manual) return this.#letGo();
    // What waits may still do its last things.
    setImmediate(() => {
      this.#letGo();
      if (this.#hostEnd) this.#hostEnd.over = true;
      const ends = ['host_end', 'uncaught'].includes(report?.reason.kind);
      if (this.#leaving || this.#waits || ends || this.#hostEnd?.wantsOut) this.#hostEnd?.leave(exitCode);
      // Else the core says when: at once, or at D where the program is stopping by itself (spec 6.6). A channel to a parent
      // (cluster, pm2) keeps a loop alive for ever.
      else {
        process.channel?.unref?.();
        // By its configuration the program may have a handler that cannot be seen.
        if (JSON.parse(this.#native.config()).values.leave?.value !== 'by_itself') this.#signals.waitFor(this.#begun, (signo) => this.#endOwnStop(signo));
      }
    });
  }

  /** The core wants the process to leave now. The last events, if they are still to come, get their time. */
  #onLeave(exitCode) {
    this.#leaving = true;
    if (this.#last.report) setImmediate(() => this.#hostEnd?.leave(exitCode));
    else setTimeout(() => this.#onFinished(exitCode), LAST_EVENTS);
  }

  /** A signal that the program does not listen for came while it was waited for: it would have ended the program without us. */
  #endOwnStop(signo) {
    if (this.#closed || !this.#hostEnd || this.#hostEnd.left) return;
    this.#native.warn("the program's own stop was ended by another signal, which it does not listen for");
    this.#hostEnd.leave(128 + signo);
  }

  #letGo() {
    clearInterval(this.#keepAlive);
  }

  async #onReload(id, callId) {
    let error = null;
    try {
      await this.#reloads.get(id)();
    } catch (e) {
      error = words(e);
    }
    this.#native.reloadDone(callId, error);
  }

  // ---- hooks ----

  hook(phase, fn, options) {
    const native = this.#open();
    if (fn === undefined || fn === null) throw new GraceshutError('null', 'the function of a hook is missing');
    if (typeof fn !== 'function') throw new GraceshutError('bad_value', `a hook has to be a function, not ${describe(fn)}`);
    const name = options?.name ?? (fn.name || 'hook');
    const json = hookJson(phase, name, options, 'delay', 0);
    const number = this.#hooks.keep(fn, phase, name);
    try {
      const id = call(native.hook, this.#env, number, json);
      return new HookHandle(id, () => {
        const answer = call(this.#open().remove, id);
        if (answer === 'removed') this.#hooks.forget(number);
        return answer;
      });
    } catch (error) {
      this.#hooks.forget(number);
      throw error;
    }
  }

  #declare(phase, kind, value, options) {
    const id = call(this.#open().declare, hookJson(phase, '', options, kind, value));
    return new HookHandle(id, () => call(this.#open().remove, id));
  }

  execHook(phase, command, options) {
    return this.#declare(phase, 'exec', command, options);
  }

  httpHook(phase, request, options) {
    const bare = typeof request === 'string' || request instanceof URL;
    return this.#declare(phase, 'http', bare ? { url: String(request) } : request, options);
  }

  delayHook(phase, time, options) {
    return this.#declare(phase, 'delay', time, options);
  }

  inflightHook(phase, name, options) {
    return this.#declare(phase, 'inflight', name, options);
  }

  signalHook(phase, target, options) {
    return this.#declare(phase, 'signal', target, options);
  }

  wasm(phase, file, options) {
    const { what, own } = wasmSpec(file, options);
    return this.#declare(phase, 'wasm', what, own);
  }

  onReload(fn, { name = fn?.name || 'reload' } = {}) {
    const native = this.#open();
    if (typeof fn !== 'function') throw new GraceshutError('bad_value', `a reload hook has to be a function, not ${describe(fn)}`);
    const id = this.#reloads.size;
    this.#reloads.set(id, fn);
    call(native.onReload, this.#env, id, text(name, 'the name of a reload hook'));
  }

  // ---- work in flight ----

  tryEnter() {
    return this.#inflight.tryEnter();
  }

  leave() {
    this.#inflight.leave();
  }

  enter() {
    return this.#inflight.enter();
  }

  track(fn) {
    return this.#inflight.track(fn);
  }

  trackSync(fn) {
    return this.#inflight.trackSync(fn);
  }

  get inFlight() {
    return this.#inflight.count;
  }

  group(name) {
    return group(this.#open(), text(name, 'the name of a group'), this.#env);
  }

  // ---- servers and consumers: their files are loaded when they are asked for ----

  http(server, options) {
    return require('./adapters/http.js').http(this, this.#open(), this.#inflight, server, options);
  }

  listener(listener, options) {
    return require('./adapters/listener.js').listener(this, this.#open(), this.#inflight, listener, options);
  }

  ws(server, options) {
    return require('./adapters/ws.js').ws(this, server, options);
  }

  socketio(io, options) {
    return require('./adapters/ws.js').socketio(this, io, options);
  }

  stream(response) {
    require('./adapters/streams.js').name(response);
    return this.drainSignal;
  }

  fastify(options) {
    return require('./adapters/frameworks.js').fastify(this, options);
  }

  nest(app, options) {
    return require('./adapters/frameworks.js').nest(this, app, options);
  }

  bullmq(worker, options) {
    return require('./adapters/consumers.js').bullmq(this, worker, options);
  }

  kafkajs(consumer, options) {
    return require('./adapters/consumers.js').kafkajs(this, consumer, options);
  }

  cluster(options) {
    return require('./adapters/cluster.js').inCluster(this, this.#open(), options);
  }

  // ---- life ----

  get isStopping() {
    return this.#isStopping || this.#inflight.word >= 1;
  }

  get isDraining() {
    return this.#inflight.word === 2;
  }

  get stopping() {
    return this.#stopping.promise;
  }

  get draining() {
    return this.#draining.promise;
  }

  get drainSignal() {
    this.#drainSignal ??= require('./adapters/streams.js').signalOf(this.#draining.promise);
    return this.#drainSignal;
  }

  get serving() {
    return this.#serving;
  }

  set serving(value) {
    if (typeof value !== 'boolean') throw new GraceshutError('bad_value', `serving is true or false, not ${describe(value)}`);
    call(this.#open().setServing, value);
    this.#serving = value;
  }

  ready() {
    call(this.#open().ready);
  }

  stop(reason = '', options = {}) {
    const native = this.#open();
    if (typeof options !== 'object' || options === null) {
      throw new GraceshutError('bad_value', `stop takes { grace } as its second argument, not ${describe(options)}`);
    }
    call(native.stop, text(reason, 'the reason'), timeJson(options.grace, 'grace'));
    this.#begin();
  }

  reload() {
    call(this.#open().reload);
  }

  wait() {
    if (this.#closed) return Promise.reject(new GraceshutError('closed', 'this runtime was uninstalled; call install again'));
    const run = inside.getStore();
    if (run && !run.ended) {
      return Promise.reject(new GraceshutError('wrong_thread', 'wait inside a hook would wait for itself; use ctx.remaining'));
    }
    this.#waits = true;
    if (!this.#isStopping) this.#signals?.disown();
    return this.#finished.promise;
  }

  uninstall() {
    const native = this.#open();
    if (this.#env !== MAIN) throw new GraceshutError('wrong_thread', 'the main thread installed graceshut, and only it can uninstall it');
    call(native.uninstall);
    this.#close();
  }

  #close() {
    this.#closed = true;
    shared.set('current', null);
    // Of a worker thread: the next install has other words for it to count on.
    if (this.#env !== MAIN) shared.get('groups').clear();
    this.emit(LET_GO);
    this.#signals?.close();
    this.#hostEnd?.close();
    this.#letGo();
    this.#finished.reject(new GraceshutError('closed', 'the runtime was uninstalled'));
  }

  // ---- to be looked at ----

  get state() {
    return this.#closed ? 'idle' : this.#native.state()[0];
  }

  get phase() {
    return this.#closed ? null : (this.#native.state()[1] ?? null);
  }

  get reason() {
    if (this.#closed) return null;
    const json = this.#native.reason();
    return json ? JSON.parse(json) : null;
  }

  report() {
    if (this.#closed) return this.#last.report;
    const json = call(this.#native.report);
    return json ? JSON.parse(json) : null;
  }

  plan() {
    return withText(JSON.parse(call(this.#open().plan)));
  }

  config() {
    return withText(JSON.parse(call(this.#open().config)));
  }

  status() {
    return JSON.parse(call(this.#open().status));
  }
}

function group(native, name, env) {
  let found = shared.get('groups').get(name);
  if (!found) {
    found = env === MAIN ? new InFlight(native, name) : new WorkerInFlight(native, name, env);
    shared.get('groups').set(name, found);
  }
  return found;
}

/** Joins the main thread's install, once a worker thread; options are only compared. */
function join(options) {
  const json = options === undefined ? null : optionsJson(options);
  if (!shared.get('current')) {
    const native = load();
    const gs = new Graceshut(native);
    Graceshut.joined(gs, call(native.join, Graceshut.post(gs)));
    shared.set('current', gs);
  }
  if (json !== null) call(load().agree, json);
  return shared.get('current');
}

/** Installs, or returns the living install when the options agree. */
function install(options) {
  if (!isMainThread) return join(options);
  const json = optionsJson(options);
  const native = load();
  // The addon's functions are of the main realm: a sandbox (jest, a vm context) has another Function.
  const sandboxed = !(native.install instanceof Function);
  const again = shared.get('current');
  const gs = again ?? new Graceshut(native);
  call(native.install, json, process.version, listened(), Boolean(again), sandboxed, Graceshut.post(gs));
  if (!again) {
    shared.set('current', gs);
    Graceshut.installed(gs, sandboxed);
  }
  return gs;
}

/** The living install, or null. */
const current = () => shared.get('current');

module.exports = { install, current };
