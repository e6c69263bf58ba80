import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { describe, ended, folder } from './child.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const read = (name) => readFileSync(join(root, name), 'utf8');
const manifest = JSON.parse(read('package.json'));
const installed = join(folder, 'node_modules/graceshut');

const platform = join(folder, 'node_modules/@graceshut/linux-x64-gnu');
const addonFile = join(platform, 'graceshut.linux-x64-gnu.node');

test('the tarballs hold exactly what they should', () => {
  const [main, addon] = JSON.parse(process.env.GRACESHUT_TEST_PACKED);
  assert.deepEqual(main.files.map((f) => f.path).toSorted(), [
    'LICENSE-APACHE',
    'LICENSE-MIT',
    'README.md',
    'error-kinds.json',
    'index.d.mts',
    'index.d.ts',
    'index.js',
    'index.mjs',
    'lib/adapters/answers.js',
    'lib/adapters/cluster.js',
    'lib/adapters/connection.js',
    'lib/adapters/consumers.js',
    'lib/adapters/door.js',
    'lib/adapters/frameworks.js',
    'lib/adapters/http.js',
    'lib/adapters/kafkajs.js',
    'lib/adapters/kafkajs/batches.js',
    'lib/adapters/kafkajs/consumption.js',
    'lib/adapters/kafkajs/ledger.js',
    'lib/adapters/kafkajs/messages.js',
    'lib/adapters/listener.js',
    'lib/adapters/options.js',
    'lib/adapters/own-stop.js',
    'lib/adapters/primary.js',
    'lib/adapters/sockets.js',
    'lib/adapters/spread.js',
    'lib/adapters/streams.js',
    'lib/adapters/ws.js',
    'lib/error.js',
    'lib/graceshut.js',
    'lib/hooks.js',
    'lib/host-end.js',
    'lib/inflight.js',
    'lib/native.js',
    'lib/options.js',
    'lib/platforms.js',
    'lib/signals.js',
    'lib/views.js',
    'lib/wasm.js',
    'package.json',
  ]);
  assert.deepEqual(addon.files.map((f) => f.path).toSorted(), ['LICENSE-APACHE', 'LICENSE-MIT', 'graceshut.linux-x64-gnu.node', 'package.json']);
  assert.deepEqual([main.name, addon.name], ['graceshut', '@graceshut/linux-x64-gnu']);
  assert.ok(statSync(addonFile).size > 100_000);
});

test('nothing is run or fetched when it is installed, and nothing is depended on but the addon', () => {
  for (const at of [installed, platform]) {
    const own = JSON.parse(readFileSync(join(at, 'package.json'), 'utf8'));
    assert.equal(own.dependencies, undefined);
    assert.deepEqual(Object.keys(own.scripts ?? {}).filter((name) => /install|prepare/.test(name)), []);
  }
  assert.deepEqual(manifest.optionalDependencies, { '@graceshut/linux-x64-gnu': manifest.version });
  const lock = JSON.parse(readFileSync(join(folder, 'package-lock.json'), 'utf8'));
  assert.deepEqual(Object.keys(lock.packages), ['', 'node_modules/@graceshut/linux-x64-gnu', 'node_modules/graceshut']);
});

test('what build.mjs generates is what is committed', () => {
  const names = ['lib/platforms.js', 'npm/linux-x64-gnu/package.json'];
  const before = names.map(read);
  const done = spawnSync(process.execPath, ['build.mjs', '--generate'], { cwd: root, encoding: 'utf8', timeout: 30_000 });
  assert.equal(done.status, 0, done.stderr);
  assert.deepEqual(names.map(read), before);
});

test('a platform without an addon, or one whose package is missing, is told by install()', async () => {
  const missing = await ended(`
    require('node:module').prototype.require = ((real) => function (id) {
      if (id.startsWith('@graceshut/')) throw Object.assign(new Error('Cannot find module'), { code: 'MODULE_NOT_FOUND' });
      return real.call(this, id);
    })(require('node:module').prototype.require);
    tell(() => install());`);
  assert.match(missing.lines[0], /GraceshutError unsupported .*@graceshut\/linux-x64-gnu is missing.*--omit=optional/, describe(missing));
  const other = await ended(`Object.defineProperty(process, 'platform', { value: 'haiku' }); tell(() => install());`);
  assert.match(other.lines[0], /GraceshutError unsupported .*no addon for haiku-x64 \(it has: linux-x64-gnu\)/, describe(other));
});

test("packages, addon and Cargo's workspace have one version", () => {
  const [, cargo] = /\[workspace\.package\]\nversion = "([^"]+)"/.exec(read('../Cargo.toml'));
  const addon = createRequire(import.meta.url)(addonFile);
  const { version } = createRequire(import.meta.url)(installed);
  const own = JSON.parse(read('npm/linux-x64-gnu/package.json'));
  assert.deepEqual([manifest.version, addon.version(), version, own.version], [cargo, cargo, cargo, cargo]);
  assert.deepEqual([own.os, own.cpu, own.libc, Boolean(own.engines.node)], [['linux'], ['x64'], ['glibc'], true]);
});

test('the table of error kinds is the core’s, in JSON and in the types', () => {
  const addon = createRequire(import.meta.url)(addonFile);
  const kinds = JSON.parse(addon.errorKinds());
  assert.deepEqual(JSON.parse(read('error-kinds.json')), kinds);
  const [, union] = /export type ErrorKind =([^;]+);/.exec(read('index.d.ts'));
  assert.deepEqual([...union.matchAll(/'(\w+)'/g)].map((m) => m[1]), Object.keys(kinds).toSorted((a, b) => kinds[a] - kinds[b]));
  assert.equal(kinds.unknown_phase, 3);
});

test('errors are errors', async () => {
  const it = await ended(`
    const gs = install();
    try { gs.hook('x', () => {}); } catch (e) {
      say(e instanceof Error, e instanceof GraceshutError, e.name, e.kind, e.code, e.errno, graceshut.errorKinds[e.kind], /script/.test(e.stack));
    }`);
  assert.deepEqual(it.lines, ['true true GraceshutError unknown_phase ERR_GRACESHUT_UNKNOWN_PHASE 3 3 true'], describe(it));
});

test('require and import cost no thread, no handler, no addon', async () => {
  const it = await ended(
    `const fs = require('fs'); const look = () => [fs.readdirSync('/proc/self/task').length, /SigCgt.*/.exec(fs.readFileSync('/proc/self/status'))[0]].join();
     const before = look(); const g = require('graceshut'); const after = look();
     console.log(before === after, fs.readFileSync('/proc/self/maps', 'utf8').includes('graceshut'), g.current(), Object.keys(g).join());`,
    { bare: true },
  );
  assert.equal(it.lines[0], 'true false null install,current,GraceshutError,DrainingError,errorKinds,version', describe(it));
});

test('public types hold: no any, right and wrong uses, CJS and ESM', () => {
  assert.doesNotMatch(read('index.d.ts').replace(/\/\*\*[^]*?\*\//g, ''), /\bany\b/);
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  assert.ok(existsSync(tsc), 'typescript is missing: npm ci');
  const use = `
import { install, current, GraceshutError, type Graceshut, type Guard, type HookContext, type Report } from 'graceshut';
const gs: Graceshut = install({ grace: '10s', announceDelay: 5, phases: { drain: { onFailure: 'continue' } }, signals: { TERM: 'stop' } });
gs.hook('drain', async ({ signal, remaining }: HookContext) => { await fetch('http://x', { signal }); const n: number | null = remaining; return n; }, { timeout: 1000 });
const value: Promise<number> = gs.track(async () => 1);
const report: Report | null = gs.report();
gs.on('hook_end', (e) => e.outcome?.length);
async function f() { using g = gs.enter()!; await using h: Guard = g.enter(); const { exitCode } = await gs.wait(); return exitCode + (report ? report.pid : 0) + (await value); }
try { f(); } catch (e) { if (e instanceof GraceshutError && e.kind === 'closed') current()?.leave(); }
// @ts-expect-error a time is no object
install({ grace: {} });
// @ts-expect-error no such key
install({ gracee: 1 });
// @ts-expect-error no such event
gs.on('nothing', () => {});
`;
  for (const name of ['use.mts', 'use.cts']) writeFileSync(join(folder, name), use);
  writeFileSync(join(folder, 'default.mts'), `import graceshut from 'graceshut'; export const v: string = graceshut.version;`);
  const options = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2022', '--lib', 'esnext,dom', '--typeRoots', join(root, 'node_modules/@types'), '--types', 'node'];
  const done = spawnSync(process.execPath, [tsc, ...options, 'use.mts', 'use.cts', 'default.mts'], { cwd: folder, encoding: 'utf8', timeout: 120_000 });
  assert.equal(done.status, 0, done.stdout);
});
