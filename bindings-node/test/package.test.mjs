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

test('the tarball holds exactly what it should', () => {
  const packed = JSON.parse(process.env.GRACESHUT_TEST_PACKED);
  assert.deepEqual(packed.files.map((f) => f.path).toSorted(), [
    'LICENSE-APACHE',
    'LICENSE-MIT',
    'README.md',
    'error-kinds.json',
    'graceshut.linux-x64-gnu.node',
    'index.d.mts',
    'index.d.ts',
    'index.js',
    'index.mjs',
    'lib/error.js',
    'lib/graceshut.js',
    'lib/hooks.js',
    'lib/host-end.js',
    'lib/inflight.js',
    'lib/native.js',
    'lib/options.js',
    'lib/signals.js',
    'package.json',
  ]);
  assert.ok(statSync(join(installed, 'graceshut.linux-x64-gnu.node')).size > 100_000);
  assert.deepEqual([manifest.dependencies, manifest.scripts.install, manifest.scripts.postinstall], [undefined, undefined, undefined]);
});

test("package, addon and Cargo's workspace have one version", () => {
  const [, cargo] = /\[workspace\.package\]\nversion = "([^"]+)"/.exec(read('../Cargo.toml'));
  const addon = createRequire(import.meta.url)(join(installed, 'graceshut.linux-x64-gnu.node'));
  const { version } = createRequire(import.meta.url)(installed);
  assert.deepEqual([manifest.version, addon.version(), version], [cargo, cargo, cargo]);
  assert.deepEqual([manifest.os, manifest.cpu, manifest.libc, Boolean(manifest.engines.node)], [['linux'], ['x64'], ['glibc'], true]);
});

test('the table of error kinds is the core’s, in JSON and in the types', () => {
  const addon = createRequire(import.meta.url)(join(installed, 'graceshut.linux-x64-gnu.node'));
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

test('public types hold: no any, right and wrong uses, CJS and ESM', (t) => {
  assert.doesNotMatch(read('index.d.ts').replace(/\/\*\*[^]*?\*\//g, ''), /\bany\b/);
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  if (!existsSync(tsc)) {
    assert.ok(!process.env.CI, 'typescript is missing: npm ci');
    return t.skip('typescript is not installed: npm ci');
  }
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
