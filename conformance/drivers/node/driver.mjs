// Plays conformance scenarios through the package graceshut. See ../../README.md.
import fs from 'node:fs';
import net from 'node:net';
import { GraceshutError, install } from 'graceshut';

const traceFd = Number(process.env.CONFORMANCE_TRACE_FD);
const scenario = JSON.parse(fs.readFileSync(process.env.CONFORMANCE_SCENARIO, 'utf8'));
const KINDS = ['exec', 'http', 'delay', 'inflight', 'signal', 'wasm'];
const handles = new Map();
const units = new Map();
let gs;

const trace = (what, name, fields = {}) => {
  fs.writeSync(traceFd, `${JSON.stringify({ what, ...(name === undefined ? {} : { name }), ...fields })}\n`);
};

/** Calls `f`; an error of graceshut's goes to the trace. */
const attempt = (name, f) => {
  try {
    f();
    return true;
  } catch (error) {
    if (!(error instanceof GraceshutError)) throw error;
    trace('error', name, { kind: error.kind });
    return false;
  }
};

const camel = (key) => key.replace(/_([a-z])/g, (_, c) => c.toUpperCase());

/** Options as Node spells them: keys of ours in camelCase, names (of phases, signals) as they are. */
function optionsOf(options) {
  const out = {};
  for (const [key, value] of Object.entries(options)) {
    if (key === 'phases') {
      out.phases = Object.fromEntries(
        Object.entries(value).map(([name, phase]) => [name, Object.fromEntries(Object.entries(phase).map(([k, v]) => [camel(k), v]))]),
      );
    } else if (key === 'hook') out.hooks = value;
    else out[camel(key)] = value;
  }
  return out;
}

/** Where acts run: in a hook, or anywhere else (then without a context). */
class Place {
  constructor(hook, ctx) {
    this.hook = hook;
    this.ctx = ctx;
    this.told = false;
  }

  tellCancel() {
    if (!this.told) trace('cancel', this.hook);
    this.told = true;
  }
}

const block = (ms) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);

function spin(ms) {
  const until = performance.now() + ms;
  while (performance.now() < until);
}

const unitsOf = (name) => (name === null ? gs : gs.group(name));
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

/** Resolves after `ms`, or as soon as the hook is cancelled; says whether it was. */
const sleepOrCancel = (ms, signal) =>
  new Promise((done) => {
    if (signal.aborted) return done(true);
    const timer = setTimeout(() => done(false), ms);
    signal.addEventListener('abort', () => (clearTimeout(timer), done(true)), { once: true });
  });

/** Acts that take time: they answer a promise. */
const slow = {
  async sleep({ ms }, place) {
    if (!place.ctx) return sleep(ms);
    if (await sleepOrCancel(ms, place.ctx.signal)) {
      place.tellCancel();
      throw place.ctx.signal.reason;
    }
  },
  sleep_through: ({ ms }) => sleep(ms),
  async until_cancelled({ ms }, place) {
    if (await sleepOrCancel(ms, place.ctx.signal)) place.tellCancel();
  },
  never: () => new Promise(() => setInterval(() => {}, 1e6)),
};

const quick = {
  mark: ({ name }) => trace('mark', name),
  spin: ({ ms }) => spin(ms),
  block: ({ ms }) => block(ms),
  hold({ ms }) {
    trace('held');
    block(ms);
  },
  fail({ message }) {
    throw new Error(message);
  },
  cancelled() {
    throw new DOMException('cancelled', 'AbortError');
  },
  exit({ code }, place) {
    trace('exit');
    if (place.hook) trace('end', place.hook, { how: 'exit', message: null });
    place.ended = true;
    process.exit(code);
  },
  fatal({ how }) {
    trace('fatal');
    if (how === 'abort') process.abort();
    process.reallyExit(4);
  },
  stop({ reason, grace_ms: grace }) {
    trace('stop');
    attempt('stop', () => gs.stop(reason, grace === null ? {} : { grace }));
  },
  register({ hook }) {
    if (add(hook)) trace('registered', hook.name);
  },
  remove: ({ name }) => attempt(name, () => trace('removed', name, { answer: handles.get(name).remove() })),
  extend: ({ ms }, place) => trace('extended', place.hook, { granted_us: Math.round(place.ctx.extend(ms) * 1000) }),
  progress: ({ done, total }, place) => place.ctx.progress(done, total),
  log: ({ message }, place) => place.ctx.log(message),
  remaining: (_, place) => trace('remaining', place.hook, { us: Math.round(place.ctx.remaining * 1000) }),
  caught: ({ name }) => trace('caught', name, { value: /SigCgt:\s*(\S+)/.exec(fs.readFileSync('/proc/self/status', 'utf8'))[1] }),
  abandoned: (_, place) => trace('abandoned', place.hook, { names: place.ctx.abandoned }),
  enter({ as, group }) {
    const guard = unitsOf(group).enter();
    if (guard) units.set(as, guard);
    trace(guard ? 'entered' : 'refused', as);
  },
  part({ of, as }) {
    units.set(as, units.get(of).enter());
    trace('entered', as);
  },
  leave({ of }) {
    trace('left', of);
    units.get(of).leave();
  },
  count: ({ group }) => trace('count', undefined, { value: group === null ? gs.group('').count : gs.group(group).count }),
  word: () => trace('word', undefined, { value: gs.isDraining ? 2 : gs.isStopping ? 1 : 0 }),
  state: () => trace('state', gs.state),
  ready: () => gs.ready(),
  install: ({ options }) =>
    attempt('install', () => {
      gs = install(optionsOf(options ?? scenario.options));
      trace('installed');
    }),
  handle({ ms }) {
    process.on('SIGTERM', () => {
      trace('handled');
      if (ms !== null) setTimeout(leave, ms);
    });
  },
  uninstall: () =>
    attempt('uninstall', () => {
      gs.uninstall();
      trace('uninstalled');
    }),
};

/** Plays acts; a promise only if one of them takes time. */
function play(acts, place) {
  for (let i = 0; i < acts.length; i++) {
    const act = acts[i];
    if (slow[act.do]) return slow[act.do](act, place).then(() => play(acts.slice(i + 1), place));
    if (!quick[act.do]) throw new Error(`no act ${act.do}`);
    quick[act.do](act, place);
  }
}

/** A hook's body, of both forms. */
function bodyOf(spec) {
  const end = (place, how, message = null) => {
    if (!place.ended) trace('end', spec.name, { how, message });
    place.ended = true;
  };
  const failed = (place, error) => {
    const cancelled = error?.name === 'AbortError';
    end(place, cancelled ? 'cancelled' : 'failed', cancelled ? null : error?.message);
    throw error;
  };
  return (ctx) => {
    const place = new Place(spec.name, ctx);
    const { reason, remaining } = ctx;
    trace('start', spec.name, {
      phase: ctx.phase,
      context_name: ctx.name,
      reason: reason.kind,
      signal: reason.signal,
      message: reason.message,
      remaining_us: remaining === null ? null : Math.round(remaining * 1000),
      cancelled: ctx.cancelled,
      abandoned: ctx.abandoned,
    });
    ctx.signal.addEventListener('abort', () => place.tellCancel(), { once: true });
    try {
      const later = spec.form === 'async' ? Promise.resolve().then(() => play(spec.steps, place)) : play(spec.steps, place);
      if (!later) return end(place, 'ok');
      return later.then(
        () => end(place, 'ok'),
        (error) => failed(place, error),
      );
    } catch (error) {
      return failed(place, error);
    }
  };
}

function register(spec) {
  const options = { name: spec.name, after: spec.after, optional: spec.optional };
  if (spec.timeout_ms !== null) options.timeout = spec.timeout_ms;
  const { phase } = spec;
  const kind = KINDS.find((k) => k in spec);
  if (!kind) return gs.hook(phase, bodyOf(spec), options);
  if (kind === 'wasm') {
    const { path, ...grants } = spec.wasm;
    return gs.wasm(phase, path, { ...grants, ...options });
  }
  return gs[`${kind}Hook`](phase, spec[kind], options);
}

function add(spec) {
  return attempt(spec.name, () => handles.set(spec.name, register(spec)));
}

gs = undefined;
if (!attempt('install', () => (gs = install(optionsOf(scenario.options))))) process.exit(3);

for (const event of scenario.watch_events) {
  gs.on(event, ({ hook = null, message = null, done = null, total = null }) => trace('event', event, { hook, message, done, total }));
}
for (const { name, steps } of scenario.reloads) {
  const reload = () => {
    trace('reload', name);
    return play(steps, new Place());
  };
  gs.onReload(reload, { name });
}
scenario.hooks.forEach(add);

/** The end of main: nothing keeps the loop any more. */
function leave() {
  trace('return');
  control.destroy();
}

// The control pipe keeps the loop, as a server would; its end is what "return from main" is in Node.
const control = new net.Socket({ fd: Number(process.env.CONFORMANCE_CONTROL_FD), readable: true, writable: false });
let rest = '';
control.setEncoding('utf8').on('data', (text) => {
  const lines = (rest + text).split('\n');
  rest = lines.pop();
  for (const line of lines) {
    const act = JSON.parse(line);
    if (act.do === 'return') leave();
    else if (act.do === 'raise') {
      trace('raise');
      throw new Error(act.message);
    } else play([act], new Place());
  }
});

await play(scenario.before, new Place());
if (scenario.main === 'wait') {
  gs.wait().then(({ exitCode }) => {
    trace('waited', undefined, { code: exitCode });
    control.destroy();
    return play(scenario.after_wait, new Place());
  });
}
trace('ready');
