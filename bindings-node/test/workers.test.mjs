// Worker threads join the install of the main thread; what they registered goes with them (embedding C28).
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describe, ended, signalled } from './child.mjs';

/** `inWorker` runs in a worker that says 'up' when it has; the main thread goes on with `then`. */
const script = (inWorker, then, options = '') => `
  const { Worker } = require('node:worker_threads');
  const gs = install({ grace: '6s' ${options} });
  const code = ${JSON.stringify(`
    const { parentPort } = require('node:worker_threads');
    const fs = require('node:fs');
    const { install, current, DrainingError } = require('graceshut');
    const say = (...words) => fs.writeSync(1, words.join(' ') + '\\n');
    const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
    const stay = () => setInterval(() => {}, 1000);
    const gs = install();
  `)} + ${JSON.stringify(inWorker)} + "; parentPort.postMessage('up')";
  const worker = new Worker(code, { eval: true });
  worker.once('message', () => { ${then} });
  worker.on('error', (e) => say('worker error', e.message));`;

test("a worker's hooks run on the worker, in their phases, beside the main thread's", async () => {
  const it = await signalled(
    script(
      `const { threadId } = require('node:worker_threads');
       gs.hook('drain', async ({ signal, remaining }) => { await sleep(20); say('worker drain', threadId > 0, signal instanceof AbortSignal, remaining > 0); }, { name: 'w-drain' });
       gs.hook('close', () => say('worker close'), { name: 'w-close' });
       gs.on('phase_start', (e) => e.phase === 'flush' && say('worker heard flush'));
       gs.wait().then(({ exitCode }) => say('worker wait', exitCode));
       stay()`,
      `gs.hook('flush', () => say('main flush'), { name: 'm-flush' }); stay(); say('ready');`,
    ),
  );
  assert.equal(it.status, 0, describe(it));
  assert.deepEqual(['w-drain', 'm-flush', 'w-close'].map((n) => it.hook(n)?.outcome), ['ok', 'ok', 'ok'], describe(it));
  const lines = it.lines.filter((l) => !/heard|wait/.test(l));
  assert.deepEqual(lines, ['worker drain true true true', 'main flush', 'worker close']);
  assert.ok(it.lines.includes('worker heard flush'), describe(it));
});

test('a worker that ends takes its hooks along: none is called, nothing is degraded', async () => {
  for (const end of ['', 'process.exit(0)', 'throw new Error("of the worker")']) {
    const it = await signalled(
      script(
        `gs.hook('drain', () => say('NEVER'), { name: 'gone' }); gs.hook('flush', async () => say('NEVER'), { name: 'gone' }); gs.onReload(() => say('NEVER'));
         setTimeout(() => { ${end} }, 20)`,
        `worker.on('exit', () => { gs.hook('flush', () => say('main'), { name: 'main' }); stay(); say('ready'); });`,
      ),
    );
    assert.equal(it.status, 0, describe(it));
    assert.deepEqual(it.lines.filter((l) => l !== 'worker error of the worker'), ['main'], describe(it));
    assert.equal(it.hook('gone'), undefined, describe(it));
  }
});

test('a worker terminated while its hook runs: failed at once, the plan goes on', async () => {
  const it = await signalled(
    script(
      `gs.hook('drain', () => { parentPort.postMessage('in'); return new Promise(() => {}); }, { name: 'stuck' }); stay()`,
      `worker.once('message', () => worker.terminate()); stay(); say('ready');`,
    ),
  );
  assert.equal(it.status, 1, describe(it));
  const { outcome, message, used_us: used } = it.hook('stuck');
  assert.deepEqual([outcome, message], ['failed', 'the worker thread of this hook has ended']);
  assert.ok(used < 2_000_000, describe(it));
});

test('a worker terminated with its loop blocked, over and over, while signals and hooks fly: no crash, nothing lost', async () => {
  const it = await signalled(
    `const { Worker } = require('node:worker_threads');
     const gs = install({ grace: '8s', signals: { USR2: 'reload' } });
     gs.onReload(() => {});
     const code = "const gs = require('graceshut').install(); gs.hook('drain', () => {}); gs.hook('flush', () => {}); gs.enter(); gs.on('event', () => {}); gs.onReload(() => {}); gs.group('g').enter(); setTimeout(() => { for (;;); }, 5); require('node:worker_threads').parentPort.postMessage('up')";
     (async () => {
       for (let i = 0; i < 25; i++) {
         const worker = new Worker(code, { eval: true });
         await new Promise((up) => worker.once('message', up));
         process.kill(process.pid, 'SIGUSR2');
         if (i % 2) await sleep(8);
         await worker.terminate();
       }
       say(gs.inFlight, gs.group('g').count);
       gs.hook('flush', () => say('main'), { name: 'main' });
       stay(); say('ready');
     })();`,
  );
  assert.equal(it.status, 0, describe(it));
  assert.deepEqual(it.lines, ['0 0', 'main'], 'work in flight of workers that ended is given up');
  assert.equal(it.report.in_flight.at_drain_start, 0);
});

test('work in flight of a worker holds the drain of the process, and is refused from then on', async () => {
  const it = await signalled(
    script(
      `gs.track(async () => { await sleep(400); say('work done'); });
       gs.draining.then(() => gs.track(() => {})).catch((e) => say('refused', e instanceof DrainingError, gs.isDraining));
       stay()`,
      `gs.hook('flush', () => say('flush')); say(gs.inFlight); stay(); say('ready');`,
    ),
  );
  assert.equal(it.status, 0, describe(it));
  assert.deepEqual(it.lines, ['1', 'refused true true', 'work done', 'flush'], describe(it));
});

test('stop() from a worker is the shutdown of the process; uninstall and other options are refused', async () => {
  const it = await ended(
    script(
      `const tell = (f) => { try { f(); say('returned'); } catch (e) { say(e.kind, e.message); } };
       tell(() => gs.uninstall()); tell(() => install({ grace: '7s' })); tell(() => install({ grace: '6s' }));
       say(install() === gs, current() === gs, gs.state);
       parentPort.once('message', () => gs.stop('from a worker'))`,
      `gs.hook('drain', ({ reason }) => say(reason.kind, reason.message)); worker.postMessage('go'); stay();`,
    ),
  );
  assert.equal(it.status, 0, describe(it));
  assert.match(it.lines[0], /^wrong_thread the main thread installed/);
  assert.match(it.lines[1], /^disagree .*other options.*grace/);
  assert.deepEqual(it.lines.slice(2), ['returned', 'true true armed', 'stop from a worker']);
});

test('before the main thread has installed a worker is refused, and may try again', async () => {
  const it = await signalled(`
    const { Worker } = require('node:worker_threads');
    const code = "const { parentPort } = require('node:worker_threads'); const { install } = require('graceshut'); const go = () => { try { install().hook('flush', () => require('fs').writeSync(1, 'flush\\\\n')); return 'joined' } catch (e) { return e.kind } };" +
      "parentPort.postMessage(go()); parentPort.on('message', () => parentPort.postMessage(go()))";
    const worker = new Worker(code, { eval: true });
    worker.once('message', (first) => {
      say(first);
      install();
      worker.once('message', (second) => { say(second); say('ready'); });
      worker.postMessage('again');
    });`);
  assert.equal(it.status, 0, describe(it));
  assert.deepEqual(it.lines, ['wrong_thread', 'joined', 'flush']);
});

test('an idle worker that joined is not kept alive, nor is the process', async () => {
  const t = performance.now();
  const it = await ended(script(`gs.hook('drain', () => {}); gs.on('event', () => {}); gs.wait().catch(() => {}); gs.stopping.then(() => {})`, `worker.on('exit', (c) => say('worker exit', c));`));
  assert.equal(it.status, 0, describe(it));
  assert.deepEqual(it.lines, ['worker exit 0']);
  assert.ok(performance.now() - t < 5000);
});

test('uninstall in the main thread closes the install of its workers; they can join the next one', async () => {
  const it = await ended(
    script(
      `parentPort.on('message', () => {
         const before = gs.state;
         const next = install();
         next.hook('flush', () => say('flush on the worker'));
         parentPort.unref();
         say(before, next !== gs, next.state); parentPort.postMessage('again'); stay();
       })`,
      `gs.uninstall(); install({ grace: '6s' }); worker.once('message', () => current().stop('x')); setTimeout(() => worker.postMessage('go'), 50);`,
    ),
  );
  assert.equal(it.status, 0, describe(it));
  assert.deepEqual(it.lines, ['idle true armed', 'flush on the worker'], describe(it));
});
