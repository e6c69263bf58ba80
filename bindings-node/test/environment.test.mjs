import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describe, ended, signalled } from './child.mjs';

test('an idle process is not kept alive, and its hooks run', async () => {
  const t = performance.now();
  const it = await ended(`const gs = install(); gs.hook('drain', () => say('drained')); gs.on('event', () => {}); gs.wait(); gs.stopping.then(() => {});`);
  assert.equal(it.status, 0, describe(it));
  assert.deepEqual(it.lines, ['drained']);
  assert.ok(performance.now() - t < 5000);
});

test('workers that require, try to install, and exit leave the process sound', async () => {
  const it = await signalled(`
    const { Worker } = require('node:worker_threads');
    const gs = install();
    gs.hook('flush', () => say('flush'));
    const code = "const g = require('graceshut'); try { g.install() } catch (e) { if (e.kind !== 'wrong_thread') throw e } process.exit(0)";
    const worker = () => new Promise((done) => new Worker(code, { eval: true }).on('exit', done).on('error', (e) => say('error', e)));
    Promise.all([worker(), worker(), worker()]).then(worker).then(() => { stay(); say('ready'); });`);
  assert.equal(it.status, 0, describe(it));
  assert.deepEqual(it.lines, ['flush']);
});

test('workers before the main thread installs', async () => {
  const it = await signalled(`
    const { Worker } = require('node:worker_threads');
    new Worker("require('graceshut')", { eval: true }).on('exit', (c) => { const gs = install(); gs.hook('flush', () => say('flush')); stay(); say('ready'); });`);
  assert.equal(it.status, 0, describe(it));
});

test('the addon required by a worker directly, which then exits: the next signal finds no hole', async () => {
  const it = await signalled(`
    const { Worker } = require('node:worker_threads');
    const addon = require.resolve('@graceshut/linux-x64-gnu');
    new Worker('require(' + JSON.stringify(addon) + ').install("{}", "v", [], false, false, () => {})', { eval: true })
      .on('error', (e) => say(e)).on('exit', (c) => { say('worker', c); stay(); say('ready'); });`);
  assert.equal(it.status, 0, describe(it));
  assert.deepEqual(it.lines, ['worker 0']);
});

test('the package loaded twice is one install', async () => {
  const it = await signalled(`
    const gs = install();
    for (const k of Object.keys(require.cache)) if (/graceshut.(index|lib)/.test(k)) delete require.cache[k];
    const again = require('graceshut');
    say(again.install !== install, again.install() === gs);
    gs.hook('flush', () => say('flush'));
    stay(); say('ready');`);
  assert.equal(it.status, 0, describe(it));
  assert.deepEqual(it.lines, ['true true', 'flush']);
});

test('closed stdio, a full stderr and a deleted working folder change nothing', async () => {
  const it = await signalled(`
    const gs = install();
    gs.hook('flush', () => say('flush'));
    require_fs.rmSync(process.cwd(), { recursive: true });
    stay(); say('ready'); require_fs.closeSync(2);`);
  assert.equal(it.status, 0, describe(it));
  assert.deepEqual(it.lines, ['flush']);
});

test('many hooks at once, in every phase', async () => {
  const it = await signalled(`
    const gs = install({ grace: '20s' });
    let n = 0;
    for (let i = 0; i < 2000; i++) gs.hook(['drain', 'flush', 'final'][i % 3], i % 2 ? () => { n++; } : async () => { n++; }, { name: 'h' + i });
    process.on('exit', () => say(n));
    stay(); say('ready');`);
  assert.equal(it.status, 0, describe(it).slice(0, 2000));
  assert.deepEqual(it.lines, ['2000']);
});

test('GC pressure and many installs: nothing is lost, nothing crashes', async () => {
  const it = await ended(
    `for (let i = 0; i < 30; i++) { const gs = install({ exit: 'manual' }); gs.hook('drain', () => {}); gs.tryEnter(); gs.leave(); gc(); gs.uninstall(); gc(); }
     const gs = install(); gs.hook('drain', () => { gc(); say('ok'); });`,
    { nodeArgs: ['--expose-gc'] },
  );
  assert.equal(it.status, 0, describe(it));
  assert.deepEqual(it.lines, ['ok']);
});

test('another realm is refused instead of having hooks that never run', async () => {
  const it = await ended(`
    const gs = install();
    delete globalThis[Symbol.for('graceshut@0')];
    for (const k of Object.keys(require.cache)) if (/graceshut.(index|lib)/.test(k)) delete require.cache[k];
    tell(() => require('graceshut').install());`);
  assert.match(it.lines[0], /GraceshutError disagree .*realm/, describe(it));
  assert.equal(it.status, 0);
});
