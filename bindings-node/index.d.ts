/// <reference types="node" />
import { EventEmitter } from 'node:events';
import { Server as NetServer } from 'node:net';
import { Duplex } from 'node:stream';

/** A time: milliseconds, or text with a unit (`"500ms"`, `"10s"`, `"2m"`, `"1h"`). */
export type Time = number | string;

/** A name of the default plan, or of a phase of your own. */
export type PhaseName = 'announce' | 'drain' | 'flush' | 'close' | 'final' | (string & {});

/** What a signal does. */
export type Action = 'stop' | 'reload' | 'status' | 'ignore' | 'default';

/** Changes to a phase of the default plan, or a phase of your own (then with `before` or `after`). */
export interface PhaseOptions {
  /** The most it may take: a time, a share (`"25%"`), the smaller of both (`"min(25%, 60s)"`), or `"rest"`. */
  cap?: Time;
  /** What it is promised whatever happened before it: a time or a share. */
  reserve?: Time;
  order?: 'concurrent' | 'serial';
  onFailure?: 'continue' | 'skip_to_reserved';
  enabled?: boolean;
  before?: PhaseName;
  after?: PhaseName;
}

/** A command: TERM to its process group at the soft deadline, KILL at the hard one. */
export type ExecCommand =
  | readonly string[]
  | { argv: readonly string[]; env?: Readonly<Record<string, string>>; dir?: string };

/** One HTTP request. */
export interface HttpRequest {
  url: string | URL;
  /** POST by default. */
  method?: 'GET' | 'PUT' | 'POST' | 'DELETE' | 'PATCH' | 'HEAD';
  headers?: Readonly<Record<string, string>>;
  body?: string;
  /** Statuses that count as success besides 2xx. */
  accept?: readonly number[];
}

/** Who gets a signal; exactly one of `pid` and `pidfile`. */
export interface SignalTarget {
  pid?: number;
  pidfile?: string;
  /** TERM by default. */
  signal?: string | number;
  /** Wait until the receiver is gone. */
  wait?: boolean;
}

/** What every hook can say about itself. */
export interface HookOptions {
  /** Its name in the report; by default the function's own. Need not be unique. */
  name?: string;
  /** Its own limit; it never gets more than its phase has left. */
  timeout?: Time;
  /** Runs after all hooks of these names in the same phase, whatever their outcome. */
  after?: string | readonly string[];
  /** Keeps its outcome out of the result. */
  optional?: boolean;
}

/** What a WebAssembly guest may; everything else is denied. */
export interface WasmGrants {
  /** Variables by name and value, or names whose values are those of this process at registration. */
  env?: Readonly<Record<string, string>> | readonly string[];
  args?: readonly string[];
  /** Name in the guest: folder of the host, with `:rw` at its end to write. */
  dirs?: Readonly<Record<string, string>>;
  /** Methods and host, as in `PUT 127.0.0.1:8500` or `GET,DELETE registry.internal:80`. */
  http?: readonly string[];
  clock?: boolean;
  random?: boolean;
  /** Texts it reads by `context_read("config.KEY")`. */
  config?: Readonly<Record<string, string>>;
  /** At most so much memory: text such as `"16MiB"` (the default), or bytes. */
  memory?: string | number;
  /** A second cap beside time: about one unit an instruction. */
  fuel?: number;
}

/** A hook in WebAssembly: its own options, and what the guest may. */
export interface WasmOptions extends HookOptions, WasmGrants {}

/** A hook declared as data in the options. */
export interface DeclaredHook extends HookOptions {
  phase: PhaseName;
  exec?: ExecCommand;
  http?: HttpRequest;
  delay?: Time;
  inflight?: string;
  signal?: SignalTarget;
  /** A module's path, or that and what it may. */
  wasm?: string | ({ path: string } & WasmGrants);
}

/** The keys of graceshut.toml in camelCase. The environment (`GRACESHUT_*`) and the file have precedence over them. */
export interface Options {
  /** Wall time from the trigger until something outside kills the process. At least 200 ms. */
  grace?: Time;
  /** The same for a normal end and `stop()`: a time, `"grace"`, or `"none"` (no deadline). */
  graceNormal?: Time;
  alreadySpent?: Time;
  /** How long readiness is red before work is refused, or `"auto"`. */
  announceDelay?: Time;
  serving?: boolean;
  signals?: Readonly<Record<string, Action | { action: Action; grace?: Time }>>;
  repeat?: 'expedite' | 'interactive' | 'orchestrated';
  /** `"host"`: through process.exit(); `"reraise"`: by the signal when clean; `"manual"`: never. */
  exit?: 'host' | 'reraise' | 'manual';
  exitCodeClean?: number;
  exitCodeDegraded?: number;
  exitCodeForced?: number;
  exitCap?: Time;
  /**
   * After a signal, when the plan is over: `"at_once"`: the process leaves; `"by_itself"`: the program may go on with a stop of its own
   * until the deadline, and leaves when its loop is empty; `"auto"` (default): `by_itself` where the program has a listener of its own
   * for that signal and nothing called `wait()`.
   */
  leave?: 'auto' | 'at_once' | 'by_itself';
  watchdog?: boolean;
  maxWorkers?: number;
  /** `"stderr"` (one line), `"stderr:json"`, `"fd:3"`, `"termination-log"`, `"none"`, or a path. */
  report?: string;
  systemdExtend?: boolean;
  /** Wait for work in flight in `drain`; true by default. */
  inflight?: boolean;
  /** Defer action on a trigger until `ready()`, at most 1 s. */
  hold?: boolean;
  /** `"127.0.0.1:9901"`, `"[::1]:9901"` or `"unix:/path"`: /livez, /readyz, /status and /prestop, answered by a native thread. */
  admin?: string;
  /** What /prestop asks of peers that are neither on loopback nor of the same user: 16 to 256 visible ASCII characters. */
  adminToken?: string;
  /** The death of the parent process starts the shutdown. */
  parentDeath?: boolean;
  /** The end of stdin starts the shutdown; nothing is read from it. */
  stdinEof?: boolean;
  phases?: Readonly<Record<string, PhaseOptions>>;
  hooks?: readonly DeclaredHook[];
}

/** Why the process stops. */
export interface Reason {
  kind: 'signal' | 'stop' | 'host_end' | 'uncaught' | 'prestop' | 'parent_death' | 'stdin_eof';
  /** `"TERM"`, for a signal. */
  signal: string | null;
  /** For people only; 0 from another pid namespace. */
  senderPid: number | null;
  senderUid: number | null;
  message: string | null;
}

/** What a hook is called with. All properties are its own, so destructuring works; a getter is read at that moment. */
export interface HookContext {
  readonly name: string;
  readonly phase: string;
  readonly reason: Reason;
  /** Aborted at the soft deadline: finish what cannot be left, and end. */
  readonly signal: AbortSignal;
  /** Milliseconds to the hard deadline; null without one. */
  readonly remaining: number | null;
  /** The hard deadline on the clock of `performance.now()`; null without one. */
  readonly deadline: number | null;
  readonly cancelled: boolean;
  /** Names of hooks that were abandoned earlier and still run. */
  readonly abandoned: string[];
  /** Asks for more milliseconds before the soft deadline; answers how many were granted. */
  extend(ms: number): number;
  /** Says a line, as the event `log`. */
  log(message: string): void;
  /** Says how far it is, as the event `progress`. */
  progress(done: number, total?: number): void;
}

export type Hook = (context: HookContext) => unknown;

/** A registered hook. */
export interface HookHandle {
  readonly id: number;
  /** Takes the hook out, unless it is too late. @throws GraceshutError `closed` */
  remove(): 'removed' | 'running' | 'done';
}

/** One unit of work in flight. Ends by `leave()`, `using` or `await using`. */
export interface Guard {
  /** Counts a part of this unit in; never refused while this guard is open. */
  enter(): Guard;
  /** Ends the unit; a second call does nothing. */
  leave(): void;
  [Symbol.dispose](): void;
  [Symbol.asyncDispose](): Promise<void>;
}

/** A named group of work in flight, or the one without a name. */
export interface InFlight {
  readonly name: string;
  /** Units in flight. */
  readonly count: number;
  /** Counts one unit in; null once the process drains. */
  enter(): Guard | null;
  /** The cheapest pair, without an object: each true is answered by one `leave()`. No native call. */
  tryEnter(): boolean;
  leave(): void;
  /** Runs `fn` counted. Rejects with DrainingError without calling it once the process drains. */
  track<T>(fn: () => T | PromiseLike<T>): Promise<Awaited<T>>;
  /** As `track` for a function that returns when it is done. @throws DrainingError */
  trackSync<T>(fn: () => T): T;
}

/** An event of the shutdown. Times are milliseconds. */
export interface ShutdownEvent {
  event: EventName;
  /** Since the trigger. */
  at: number;
  phase?: string;
  hook?: string;
  outcome?: string;
  message?: string;
  /** phase_start and hook_start. */
  budget?: number;
  /** deadline: since the trigger. */
  deadline?: number;
  /** progress. */
  done?: number;
  total?: number;
  /** finished. */
  exitCode?: number;
  value?: number;
}

export type EventName =
  | 'trigger'
  | 'phase_start'
  | 'phase_end'
  | 'hook_start'
  | 'hook_cancel'
  | 'hook_end'
  | 'deadline'
  | 'progress'
  | 'log'
  | 'reload'
  | 'handler'
  | 'status'
  | 'finished'
  | 'leave';

export type HookOutcome = 'ok' | 'failed' | 'cancelled' | 'abandoned' | 'killed' | 'skipped' | 'not_started';

/** The report, as it is in every language: keys in snake case, times in microseconds. */
export interface Report {
  graceshut: 1;
  run_id: string;
  host: { language: string; version: string; graceshut: string };
  pid: number;
  triggered_at_us: number;
  grace_us: number | null;
  grace_origin: string;
  already_spent_us: number;
  margin_us: number;
  budget_us: number | null;
  reason: {
    kind: Reason['kind'];
    signal: string | null;
    sender_pid: number | null;
    sender_uid: number | null;
    message: string | null;
  };
  triggers: {
    kind: Reason['kind'];
    signal: string | null;
    at_us: number;
    action: 'started' | 'recorded' | 'duplicate' | 'expedited' | 'left' | 'ignored';
  }[];
  phases: {
    name: string;
    state: 'ran' | 'skipped';
    start_us: number;
    budget_us: number | null;
    used_us: number;
    slack_us: number | null;
    hooks: {
      name: string;
      kind: string;
      outcome: HookOutcome;
      why: string | null;
      late: boolean;
      panic: boolean;
      optional: boolean;
      message: string | null;
      start_us: number | null;
      budget_us: number | null;
      used_us: number;
    }[];
    reserve_us: number;
  }[];
  in_flight: { at_drain_start: number | null; at_drain_end: number | null };
  outcome: 'clean' | 'degraded' | 'forced';
  exit_code: number;
  exit_signal: string | null;
  used_us: number;
  scheduling_delay_us: number;
  rebased_us: number | null;
  handler: HandlerInfo[];
  warnings: string[];
  /** Who left first. `after_us` and `in_flight` are null when the report was written before. */
  leave: { how: 'at_once' | 'by_itself' | 'made_to' | 'manual'; after_us: number | null; in_flight: number | null };
}

export interface HandlerInfo {
  signal: string;
  state: 'ours' | 'ignored' | 'replaced';
  repairs: number;
  /** Another handler was in place while nothing looked: signals of that time may have been missed. */
  missed: boolean;
}

/** A shutdown that is over. */
export interface Finished {
  exitCode: number;
  report: Report;
}

/** The schedule, best and worst case, in milliseconds. `String(plan)` is a table. */
export interface Plan {
  grace: number;
  margin: number;
  budget: number;
  phases: {
    phase: string;
    order: 'concurrent' | 'serial';
    hooks: number;
    best: number;
    worst: number;
    overBy: number;
    reserve: number;
  }[];
}

/** The effective configuration by dotted key. `String(config)` is a table. */
export interface Config {
  values: Record<string, { value: unknown; origin: string }>;
}

/** What every adapter can say about its hook. */
export interface AdapterOptions {
  /** Its name in the report. */
  name?: string;
  timeout?: Time;
}

export interface HttpServerOptions extends AdapterOptions {
  /** A path answered 200 until the shutdown begins, and 503 from then on. */
  ready?: string;
  /** A path answered 200 as long as there is an answer. */
  live?: string;
  /** Milliseconds an idle connection has in `drain` for one more request, answered 503, before it is closed; 500. */
  window?: number;
  /** Called for every upgraded socket when `drain` begins. Those still open at the soft deadline are closed. */
  upgraded?: (socket: Duplex, context: HookContext) => void;
  /**
   * So long after the start of `drain` answers that have no end of their own are ended in order (last chunk, connection closed),
   * which is clean: server-sent events (`text/event-stream`), `multipart/x-mixed-replace`, and those named with `stream()`; a GET
   * that has not been answered at all by then counts as a long poll and is answered 503. They are told at the start of `drain` by
   * `drainSignal`. Off by default: they are then waited for like any request, and cut.
   */
  endStreamsAfter?: Time;
}

/** What `listener()` is told beside the server. */
export interface ListenerOptions extends AdapterOptions {
  /**
   * The server's own stop: closes its listener; may answer a promise that waits for what is in flight. Called once, in `drain`,
   * when the accept queue is empty. At `signal` what has not ended is to be cut. By default `close()` of the server, until its
   * last connection has ended.
   */
  close?: (context: HookContext) => unknown;
  /** Called at the start of `drain`: from then on the server refuses new work in its own words (a 503, UNAVAILABLE). */
  refuse?: (context: HookContext) => unknown;
}

/** A server taken into care by `listener()`. Each unit of work is counted with `tryEnter()` and `leave()`, or with a guard. */
export interface ListenerHandle {
  /** True from the trigger on: answers should say `Connection: close`. */
  readonly stopping: boolean;
  /** True from the start of `drain` on: new work is to be refused. */
  readonly draining: boolean;
  /** Counts one unit of work in; false from the start of `drain` on. Each true is answered by one `leave()`. */
  tryEnter(): boolean;
  leave(): void;
  /** As `tryEnter`, as a guard; null from the start of `drain` on. */
  enter(): { leave(): void; [Symbol.dispose](): void } | null;
}

/** A server of Node's kind: `net.Server`, or one that has its methods (Bun's, a framework's). */
export interface ServerLike {
  on(event: string, listener: (...args: never[]) => void): unknown;
  emit(event: string, ...args: unknown[]): boolean;
  listen(...args: never[]): unknown;
  close(...args: never[]): unknown;
  address(): unknown;
}

export interface SocketIoOptions extends AdapterOptions {
  /** Milliseconds over which the connections are closed: by default 10 for each, at most half of what the hook has. */
  spread?: number;
}

/** A Server of `socket.io`. */
export interface SocketIoServerLike {
  attach(...args: never[]): unknown;
  of(...args: never[]): unknown;
}

export interface WebSocketOptions extends AdapterOptions {
  /** 1001 (going away) by default; 1012 says that a service restarts. */
  code?: number;
  reason?: string;
  /** Milliseconds over which the clients are closed: by default 10 for each, at most half of what the hook has. */
  spread?: number;
}

export interface FrameworkOptions extends HttpServerOptions {
  /** The name in the report of the hook that closes the framework, in the phase `close`. */
  closeName?: string;
}

/** A WebSocketServer of `ws`. */
export interface WebSocketServerLike {
  readonly clients: ReadonlySet<{ close(code?: number, reason?: string): void; terminate(): void }>;
}

/** A plugin for the root instance of Fastify. */
export type FastifyPlugin = (
  instance: { readonly server: unknown; close(): unknown },
  options: object,
  done: (error?: Error) => void,
) => void;

/** What `NestFactory.create()` answers. */
export interface NestApplicationLike {
  getHttpServer(): unknown;
  close(signal?: string): Promise<void>;
}

/** A Worker of `bullmq`. */
export interface BullWorkerLike {
  readonly name: string;
  pause(doNotWaitActive?: boolean): Promise<void>;
  close(force?: boolean): Promise<void>;
}

/** A consumer of `kafkajs`. */
export interface KafkaConsumerLike {
  stop(): Promise<void>;
  disconnect(): Promise<void>;
}

/** A message of `kafkajs` with where it came from. */
export interface KafkaMessage {
  topic: string;
  partition: number;
  offset: string;
  key: Buffer | null;
  value: Buffer | null;
  timestamp: string;
  headers?: Record<string, Buffer | string | (Buffer | string)[] | undefined>;
}

export interface KafkaTopics {
  /** Names or regular expressions. */
  topics: (string | RegExp)[] | string | RegExp;
  /** Where a group without offsets begins; false by default, as in kafkajs. */
  fromBeginning?: boolean;
  /** batches: how long a message waits for its write at most; messages: how often offsets are committed. In seconds, 5 by default. */
  seconds?: number;
}

export interface KafkaBatches extends KafkaTopics {
  /**
   * Writes messages; they are done when it resolves, and only then committed. One call at a time, messages of a partition in order.
   * Where it rejects the group is left, and `batches` rejects with that error (see `retry`). Messages may come again, here or elsewhere:
   * let it be one that may happen twice (an id for each document). `signal` is aborted at the soft deadline of `flush`, not when the
   * shutdown begins.
   */
  write(messages: KafkaMessage[], options: { signal: AbortSignal }): unknown;
  /** How many messages one write has at most; 500 by default. */
  size?: number;
  /** After how many seconds a write that failed is tried again, with more messages perhaps, up to `size`. Not said: it is not. */
  retry?: number;
}

/** Messages one after another: the loop ends in `drain`. */
export interface KafkaMessages extends AsyncIterable<KafkaMessage> {
  /** This message is done. Its offset is committed when all before it are done too. In any order, also after the loop has ended. */
  done(message: KafkaMessage): void;
}

/** What `gs.kafkajs` adds to a consumer. Either connects, subscribes and runs it, once for a consumer. */
export interface KafkaAcknowledged {
  /**
   * Resolves when the group is left, rejects when it could not begin or a `write` has failed. `drain`: the write under way is waited
   * for, the rest written; `flush`: what is left is tried once more, and committed; `close`: the group is left.
   */
  batches(options: KafkaBatches): Promise<void>;
  /** Resolves when it has joined. `drain`: the loop ends; `flush`, `close`: what is done is committed; `close`: the group is left. */
  messages(options: KafkaTopics): Promise<KafkaMessages>;
}

/**
 * One install. Also an EventEmitter of ShutdownEvents: by their own name, and all of them as `event`. The same are published on
 * the diagnostics channels `graceshut:<name>` and `graceshut:event`.
 */
export interface Graceshut extends EventEmitter {
  on(event: EventName | 'event', listener: (event: ShutdownEvent) => void): this;
  once(event: EventName | 'event', listener: (event: ShutdownEvent) => void): this;
  off(event: EventName | 'event', listener: (event: ShutdownEvent) => void): this;

  /** Registers a function for a phase. It runs on the thread that registered it; return a promise for work that takes time. */
  hook(phase: PhaseName, fn: Hook, options?: HookOptions): HookHandle;
  /** Hooks that need no JavaScript: they run in their phase even while the loop is blocked. */
  execHook(phase: PhaseName, command: ExecCommand, options?: HookOptions): HookHandle;
  httpHook(phase: PhaseName, request: HttpRequest | string | URL, options?: HookOptions): HookHandle;
  delayHook(phase: PhaseName, time: Time, options?: HookOptions): HookHandle;
  /** Waits until that group is empty. */
  inflightHook(phase: PhaseName, group: string, options?: HookOptions): HookHandle;
  signalHook(phase: PhaseName, target: SignalTarget, options?: HookOptions): HookHandle;
  /**
   * A WebAssembly module: sandboxed, stopped for real at its deadline, run beside the loop. Its name is the file's unless
   * `name` says another. Reads and checks the file (milliseconds) and compiles it in the background.
   * @throws GraceshutError `bad_value` for what is wrong with the module or a grant, `os` for what cannot be read,
   * `bad_config`, `unsupported` in a build without it, and what `hook` throws
   */
  wasm(phase: PhaseName, file: string | URL, options?: WasmOptions): HookHandle;
  /** Runs at each reload (HUP by default), one at a time. */
  onReload(fn: () => unknown, options?: { name?: string }): void;

  readonly inFlight: number;
  enter(): Guard | null;
  tryEnter(): boolean;
  leave(): void;
  track<T>(fn: () => T | PromiseLike<T>): Promise<Awaited<T>>;
  trackSync<T>(fn: () => T): T;
  /** A named group; at most 64. */
  group(name: string): InFlight;

  /**
   * Takes a server of node:http, node:https or node:http2 into care, also one a framework made: requests are served through
   * `announce`, answered 503 from `drain` on, never reset; the hook ends when the last connection has. Answers the server.
   * A framework that shows its server as `server` (restify, polka) or `listener` (hapi) is taken as well.
   * @throws GraceshutError `bad_value`, `closed`, `too_late`
   */
  http<S extends NetServer | ServerLike | { readonly server: NetServer } | { readonly listener: NetServer }>(
    server: S,
    options?: HttpServerOptions,
  ): S;
  /**
   * Any server that listens, or the port it listens on where the server shows none (grpc-js). In `drain`: `refuse()` at once, then the
   * listener stays until nobody has come for 150 ms and the kernel's queue is empty (at most about 3 s), then `close()`, then what
   * was counted with the handle is waited for. A `close()` that a listener of the program's own calls at the signal is put off
   * until then. Sets `serving`.
   * @throws GraceshutError `bad_value`, `closed`, `too_late`
   */
  listener(server: ServerLike | NetServer | { readonly server: NetServer } | number, options?: ListenerOptions): ListenerHandle;
  /** In `drain` every client gets a close frame, spread over time; at the soft deadline those left are cut off. */
  ws<S extends WebSocketServerLike>(server: S, options?: WebSocketOptions): S;
  /**
   * In `drain` the connections of the engine are closed, spread over time, so that clients come back by themselves. `http()` for its
   * HTTP server is a line of its own.
   */
  socketio<S extends SocketIoServerLike>(io: S, options?: SocketIoOptions): S;
  /** `app.register(gs.fastify())`: `http()` for its server, and `app.close()` in the phase `close`. */
  fastify(options?: FrameworkOptions): FastifyPlugin;
  /** `http()` for its server, and `app.close()` in the phase `close`. Answers the application. */
  nest<A extends NestApplicationLike>(app: A, options?: FrameworkOptions): A;
  /** `drain`: no new job, those begun end; `close`: the connection. Jobs that do not end go back to the queue as stalled. */
  bullmq<W extends BullWorkerLike>(worker: W, options?: AdapterOptions): W;
  /**
   * Answers the consumer with two more methods, `batches` and `messages`, whose loop knows what is done. With a loop of the program's
   * own (`run`) the shutdown does one thing: the group is left in `close`, after the message in hand. Until then messages come:
   * look at `isDraining`, write and commit what is buffered in a hook of `flush`.
   */
  kafkajs<C extends KafkaConsumerLike>(consumer: C, options?: AdapterOptions): C & KafkaAcknowledged;
  /** In the primary of node:cluster: tells the workers when the shutdown begins and waits for them. In a worker: nothing. */
  cluster(options?: { timeout?: Time }): void;

  /** Resolves when the shutdown begins: readiness turns red. Never rejects, keeps no process alive. */
  readonly stopping: Promise<void>;
  /** Resolves when new work is refused. */
  readonly draining: Promise<void>;
  /** Aborted at the start of `drain`; any number of listeners. */
  readonly drainSignal: AbortSignal;
  /**
   * Names an answer that has no end of its own and another type than `text/event-stream` (a long poll), for `endStreamsAfter`: a
   * response of node:http or a stream of node:http2. Answers `drainSignal`. A long poll that has answered nothing by then is
   * answered 503.
   */
  stream(response: object): AbortSignal;
  readonly isStopping: boolean;
  readonly isDraining: boolean;
  /** This process accepts connections: `announceDelay: "auto"` applies. */
  serving: boolean;
  /** Ends a held install. */
  ready(): void;
  /** Starts the shutdown, or shortens the one under way. */
  stop(reason?: string, options?: { grace?: Time }): void;
  /** Runs the reload hooks. */
  reload(): void;
  /** Resolves when every phase is over; what runs right after it still runs before the process leaves. */
  wait(): Promise<Finished>;
  /** Ends the install: handlers back, threads ended, this object closed. The main thread only. */
  uninstall(): void;

  readonly state: 'idle' | 'armed' | 'stopping' | 'stopped';
  /** The running phase. */
  readonly phase: string | null;
  readonly reason: Reason | null;
  report(): Report | null;
  plan(): Plan;
  config(): Config;
  status(): { line: string; handlers: HandlerInfo[] };
}

export type ErrorKind =
  | 'null'
  | 'not_utf8'
  | 'unknown_phase'
  | 'bad_time'
  | 'bad_value'
  | 'bad_config'
  | 'bad_plan'
  | 'plan_does_not_fit'
  | 'disagree'
  | 'closed'
  | 'too_late'
  | 'cycle'
  | 'wrong_thread'
  | 'not_installed'
  | 'abi_mismatch'
  | 'os'
  | 'timeout'
  | 'unsupported'
  | 'internal';

/** `kind` is for programs, `message` for people; `code` is `ERR_GRACESHUT_` and the kind in capitals. */
export declare class GraceshutError extends Error {
  constructor(kind: ErrorKind | 'draining', message: string, options?: ErrorOptions);
  readonly kind: ErrorKind | 'draining';
  readonly code: `ERR_GRACESHUT_${Uppercase<ErrorKind | 'draining'>}`;
  /** The number of the C ABI; 0 for `draining`. */
  readonly errno: number;
}

/** Work was refused because the process drains. */
export declare class DrainingError extends GraceshutError {
  constructor();
  readonly kind: 'draining';
}

/** The frozen numbers of the kinds. */
export declare const errorKinds: Readonly<Record<ErrorKind, number>>;

export declare const version: string;

/**
 * Takes TERM, INT and HUP, adds one listener for each to `process`, and makes the native threads. A second call returns the same object when the options agree.
 * A worker thread joins what the main thread installed: its hooks run on it and go with it; `wrong_thread` before that.
 * @throws GraceshutError `bad_config`, `bad_time`, `bad_plan`, `plan_does_not_fit`, `disagree`, `wrong_thread`,
 * `unsupported`, `os`, `null`, `bad_value`, `not_utf8`
 */
export declare function install(options?: Options): Graceshut;

/** The living install, or null. */
export declare function current(): Graceshut | null;
