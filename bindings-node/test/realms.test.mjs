// Other JavaScript realms in one process, as test runners make them: the package's files are run again in a vm context, with a copy
// of `process`, while the addon stays that of the main realm.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describe, ended, signalled } from './child.mjs';

/** `sandbox()` answers the package as a new file of jest would get it. */
const SANDBOX = `
  const vm = require('node:vm'); const path = require('node:path'); const { createRequire } = require('node:module');
  const root = path.dirname(require.resolve('graceshut/package.json'));
  const sandbox = () => {
    const copy = Object.create(Object.getPrototypeOf(process), Object.getOwnPropertyDescriptors(process));
    copy._events = { ...process._events };
    const context = vm.createContext({ console, setTimeout, clearTimeout, setInterval, clearInterval, setImmediate, queueMicrotask, URL, AbortController, process: copy });
    const cache = new Map();
    const load = (file) => {
      if (file.endsWith('.node')) return require(file);
      if (cache.has(file)) return cache.get(file).exports;
      const module = { exports: {} };
      cache.set(file, module);
      const source = require_fs.readFileSync(file, 'utf8');
      if (file.endsWith('.json')) return (module.exports = JSON.parse(source));
      const real = createRequire(file);
      const inner = (id) => (id.startsWith('.') || id.startsWith('@') ? load(real.resolve(id)) : real(id));
      vm.runInContext('(function (module, exports, require, __dirname) {' + source + '\\n})', context, { filename: file })(module, module.exports, inner, path.dirname(file));
      return module.exports;
    };
    return load(path.join(root, 'index.js'));
  };`;

test('a module that installs at top level is loaded by one test file after the other: each takes over from the last', async () => {
  const it = await ended(`${SANDBOX}
    for (let i = 0; i < 5; i++) { const gs = sandbox().install({ grace: '5s', report: 'none' }); gs.hook('flush', () => {}); say(gs.state, gs.trackSync(() => i)); }
    say(process.listenerCount('SIGTERM'));`);
  assert.equal(it.status, 0, describe(it));
  assert.deepEqual(it.lines, ['armed 0', 'armed 1', 'armed 2', 'armed 3', 'armed 4', '0']);
});

test('one that still lives finds its install closed', async () => {
  const it = await ended(`${SANDBOX}
    const first = sandbox().install(); first.wait().catch((e) => say('first', e.kind));
    const second = sandbox().install(); say('second', second.state);
    setTimeout(() => { say(first.state); tell(() => first.hook('flush', () => {})); }, 50);`);
  assert.equal(it.status, 0, describe(it));
  assert.deepEqual(it.lines.slice(0, 3), ['second armed', 'first closed', 'idle']);
  assert.match(it.lines[3], /GraceshutError closed/);
});

test("the main realm's install is never taken over; errors keep their kind over realms", async () => {
  const it = await signalled(`${SANDBOX}
    const gs = install(); gs.hook('flush', () => say('flush'));
    const other = sandbox();
    tell(() => other.install());
    try { other.install({ grace: '1ms' }); } catch (e) { say(e.kind, e instanceof other.GraceshutError); }
    stay(); say('ready');`);
  assert.equal(it.status, 0, describe(it));
  assert.match(it.lines[0], /GraceshutError disagree .*another JavaScript realm/);
  assert.doesNotMatch(it.stdout, /internal|a bug in graceshut/);
  assert.equal(it.lines.at(-1), 'flush');
});

test('a sandbox can install, uninstall and fail by itself', async () => {
  const it = await ended(`${SANDBOX}
    for (let i = 0; i < 3; i++) {
      const g = sandbox();
      try { g.install({ nonsense: 1 }); } catch (e) { say(e.kind); }
      const gs = g.install({ exit: 'manual' }); gs.stop(); gs.wait().then(({ report }) => { say(report.outcome); gs.uninstall(); });
      break;
    }`);
  assert.equal(it.status, 0, describe(it));
  assert.deepEqual(it.lines, ['bad_config', 'clean']);
});
