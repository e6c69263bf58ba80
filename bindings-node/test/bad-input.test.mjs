import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describe, ended } from './child.mjs';

/** Runs calls one by one; each line: what was thrown, or `returned`. */
async function told(head, calls, options) {
  const it = await ended(`${head}\n${calls.map((c) => `tell(() => ${c});`).join('\n')}\nsay('alive');`, options);
  assert.equal(it.lines.at(-1), 'alive', describe(it));
  return { it, lines: it.lines.slice(0, -1) };
}

const kindOf = (line) => line.split(' ')[1];

test('options: typed errors that name the key', async () => {
  const cases = [
    ['install(null)', 'null', /options are null/],
    ['install(7)', 'bad_value', /object/],
    ['install([])', 'bad_value', /array/],
    ['install({ grace: NaN })', 'bad_time', /grace.*NaN/],
    ['install({ grace: Infinity })', 'bad_time', /grace/],
    ['install({ grace: -1 })', 'bad_time', /grace/],
    ['install({ grace: 1e300 })', 'bad_time', /grace/],
    ['install({ grace: 100 })', 'bad_time', /200ms/],
    ['install({ grace: "10" })', 'bad_time', /grace.*unit|grace/],
    ['install({ grace: true })', 'bad_time', /grace/],
    ['install({ grace: 10n })', 'bad_config', /grace.*bigint/],
    ['install({ grace: () => 1 })', 'bad_config', /grace.*function/],
    ['install({ gracee: 1 })', 'bad_config', /did you mean "grace"/],
    ['install({ announceDelai: 1 })', 'bad_config', /did you mean "announce_delay"/],
    ['install({ announceDelay: 1, announce_delay: 2 })', 'bad_config', /given twice/],
    ['install({ maxWorkers: 0.5 })', 'bad_config', /max_workers/],
    ['install({ repeat: "expidite" })', 'bad_config', /did you mean "expedite"/],
    ['install({ report: "\\ud800" })', 'not_utf8', /report.*surrogate/],
    ['install({ ["\\udc00"]: 1 })', 'not_utf8', /surrogate/],
    ['install({ signals: { SIGTREM: "stop" } })', 'bad_config', /SIGTREM/],
    ['install({ signals: { KILL: "stop" } })', 'bad_config', /KILL/],
    ['install({ phases: { drain: { cap: NaN } } })', 'bad_time', /phases.drain.cap/],
    ['install({ phases: { mine: {} } })', 'bad_plan', /mine/],
    ['install({ phases: { drain: { onFailur: "continue" } } })', 'bad_config', /did you mean "on_failure"/],
    ['install({ grace: 1000, phases: { flush: { reserve: "600ms" }, final: { reserve: "600ms" } } })', 'plan_does_not_fit', /flush 600ms \+ final 600ms = 1.2s/],
    ['install({ hooks: [{ phase: "drain" }] })', 'bad_config', /does nothing/],
    ['install({ hooks: [null] })', 'bad_config', /hooks\[0\]/],
    ['{ const o = {}; o.phases = o; return install(o); }', 'bad_config', /nested/],
  ];
  const calls = cases.map(([c]) => c);
  const { lines } = await told('', calls);
  for (const [i, [call, kind, says]] of cases.entries()) {
    assert.equal(kindOf(lines[i]), kind, `${call}: ${lines[i]}`);
    assert.match(lines[i], says, call);
    assert.match(lines[i], new RegExp(`ERR_GRACESHUT_${kind.toUpperCase()}`));
  }
});

test('undefined and null among the options mean not said; the same install again is the same object', async () => {
  const { lines } = await told('', [
    'install({ grace: undefined, phases: null }).state',
    'install() === current()',
    'install({ grace: "7s" })',
    'install({ announceDelay: 3 })',
  ]);
  assert.deepEqual(lines.slice(0, 2), ['returned armed', 'returned true']);
  assert.match(lines[2], /GraceshutError disagree .*grace: 10s and 7s/);
  assert.match(lines[3], /disagree .*announce_delay/);
});

test('hooks: typed errors that name the culprit', async () => {
  const cases = [
    ['gs.hook()', 'null'],
    ['gs.hook("drain")', 'null'],
    ['gs.hook(undefined, () => {})', 'null'],
    ['gs.hook("drain", 7)', 'bad_value'],
    ['gs.hook(7, () => {})', 'bad_value'],
    ['gs.hook("drian", () => {})', 'unknown_phase', /did you mean "drain"/],
    ['gs.hook("\\ud800", () => {})', 'not_utf8'],
    ['gs.hook("drain", () => {}, { name: "a\\udfff" })', 'not_utf8'],
    ['gs.hook("drain", () => {}, { name: "" })', 'bad_config'],
    ['gs.hook("drain", () => {}, { name: "x".repeat(300) })', 'bad_value'],
    ['gs.hook("drain", () => {}, { name: 7 })', 'bad_value'],
    ['gs.hook("drain", () => {}, 7)', 'bad_value'],
    ['gs.hook("drain", () => {}, { timout: 7 })', 'bad_config', /timout/],
    ['gs.hook("drain", () => {}, { timeout: 0 })', 'bad_time', /timeout/],
    ['gs.hook("drain", () => {}, { timeout: -5 })', 'bad_time', /timeout/],
    ['gs.hook("drain", () => {}, { timeout: NaN })', 'bad_time', /timeout/],
    ['gs.hook("drain", () => {}, { timeout: Infinity })', 'bad_time', /timeout/],
    ['gs.hook("drain", () => {}, { timeout: 1e300 })', 'bad_time', /timeout/],
    ['gs.hook("drain", () => {}, { timeout: "soon" })', 'bad_time', /timeout/],
    ['gs.hook("drain", () => {}, { optional: 1 })', 'bad_config', /optional/],
    ['gs.hook("drain", () => {}, { after: 7 })', 'bad_config', /after/],
    ['(gs.hook("drain", () => {}, { name: "p", after: "q" }), gs.hook("drain", () => {}, { name: "q", after: "p" }))', 'cycle'],
    ['gs.execHook("drain", [])', 'bad_config', /empty/],
    ['gs.execHook("drain")', 'null'],
    ['gs.execHook("drain", "rm -rf /")', 'bad_config'],
    ['gs.httpHook("drain", "ftp://x/")', 'bad_config', /http/],
    ['gs.httpHook("drain", { url: "http://x/", method: "GETT" })', 'bad_config', /GET/],
    ['gs.delayHook("drain", -1)', 'bad_time'],
    ['gs.delayHook("drain", NaN)', 'bad_time'],
    ['gs.signalHook("drain", {})', 'bad_config', /pid/],
    ['gs.signalHook("drain", { pid: -1 })', 'bad_config', /pid/],
    ['gs.inflightHook("drain", 3)', 'bad_config'],
    ['gs.onReload()', 'bad_value'],
    ['gs.onReload(() => {}, { name: "" })', 'bad_value'],
    ['gs.group()', 'null'],
    ['gs.group("\\ud800")', 'not_utf8'],
    ['gs.stop(7)', 'bad_value'],
    ['gs.stop("x", 7)', 'bad_value'],
    ['gs.stop("x", { grace: -1 })', 'bad_time', /grace/],
    ['gs.stop("x", { grace: 1 })', 'bad_time', /grace/],
    ['gs.stop("x", { grace: NaN })', 'bad_time', /grace/],
    ['gs.stop("x", { grace: Infinity })', 'bad_time', /grace/],
    ['{ gs.serving = "yes"; }', 'bad_value'],
    ['gs.trackSync()', 'bad_value'],
  ];
  const { it, lines } = await told('const gs = install();', cases.map(([c]) => c));
  for (const [i, [call, kind, says]] of cases.entries()) {
    assert.equal(kindOf(lines[i]), String(kind), `${call}: ${lines[i]}`);
    if (says) assert.match(lines[i], says, call);
  }
  assert.equal(it.status, 0, describe(it));
});

test('after uninstall every call says closed', async () => {
  const calls = [
    'gs.hook("drain", () => {})', 'gs.execHook("drain", ["true"])', 'handle.remove()', 'gs.stop()', 'gs.ready()', 'gs.reload()',
    'gs.plan()', 'gs.config()', 'gs.status()', 'gs.uninstall()', '{ gs.serving = true; }', 'gs.onReload(() => {})', 'gs.group("g")',
  ];
  const { lines } = await told(
    'const gs = install(); const handle = gs.hook("drain", () => {}); gs.uninstall(); gs.wait().catch(() => {});',
    [...calls, '[gs.state, gs.phase, gs.reason, gs.report(), gs.tryEnter(), gs.inFlight].join()', 'gs.leave()'],
  );
  for (const [i, call] of calls.entries()) assert.equal(kindOf(lines[i]), 'closed', `${call}: ${lines[i]}`);
  assert.equal(lines.at(-2), 'returned idle,,,,true,1');
});

test('the configuration file and the environment: who, which key, the nearest', async () => {
  const { lines } = await told('', ['install()'], { toml: 'grace = "10s"\nannounce_dealy = "1s"\n' });
  assert.match(lines[0], /bad_config .*graceshut\.toml.*announce_dealy.*did you mean "announce_delay"/);
  const second = await told('', ['install()'], { env: { GRACESHUT_GRACE: 'soon' } });
  assert.match(second.lines[0], /bad_time .*GRACESHUT_GRACE/);
  const third = await told('', ['install({ grace: 1 }).config().values.grace.origin'], { env: { GRACESHUT_GRACE: '3s' } });
  assert.match(third.lines[0], /returned .*GRACESHUT_GRACE|returned environment/);
});

test('wrong places: wait in a hook, install in a worker thread before the main thread has', async () => {
  const it = await ended(`
    const { Worker } = require('node:worker_threads');
    const code = "try { require('graceshut').install() } catch (e) { require('fs').writeSync(1, e.name + ' ' + e.kind + ' ' + e.message + '\\\\n') }";
    new Worker(code, { eval: true }).on('exit', () => {
      const gs = install();
      gs.hook('drain', () => gs.wait().catch((e) => say(e.kind)), { name: 'waiter' });
    });
  `);
  assert.equal(it.status, 0, describe(it));
  assert.match(it.lines[0], /GraceshutError wrong_thread install graceshut in the main thread/);
  assert.equal(it.lines[1], 'wrong_thread');
});
