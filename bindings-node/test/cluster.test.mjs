// node:cluster: each process installs for itself; the primary tells its workers.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describe, signalled } from './child.mjs';

const script = (primary, worker) => `
  const cluster = require('node:cluster');
  const gs = install({ grace: '6s' });
  if (cluster.isPrimary) {
    let up = 0;
    for (let i = 0; i < 2; i++) {
      cluster.fork({ GRACESHUT_REPORT: 'none' }).on('message', () => ++up === 2 && say('ready')).on('exit', (code, signal) => say('left', code, signal));
    }
    ${primary}
  } else {
    process.on('SIGTERM', () => {});
    gs.hook('flush', async () => { await sleep(100); say('worker flush', gs.reason.signal); });
    process.send('up');
    ${worker}
  }`;

test('gs.cluster(): TERM to the primary alone reaches the workers, and the primary leaves last', async () => {
  const it = await signalled(script(`gs.cluster(); gs.hook('flush', () => say('primary flush'), { name: 'p' });`, ''));
  assert.equal(it.status, 0, describe(it));
  assert.deepEqual(it.lines.slice(0, 4).toSorted(), ['left 0 ', 'left 0 ', 'worker flush TERM', 'worker flush TERM'].toSorted(), describe(it));
  assert.equal(it.lines[4], 'primary flush');
  assert.equal(it.hook('cluster').outcome, 'ok');
});

test('a worker that cannot leave in time is told of: degraded', async () => {
  const it = await signalled(script(`gs.cluster({ timeout: 500 }); gs.hook('final', () => { for (const w of Object.values(cluster.workers)) w.process.kill('SIGKILL'); });`, `gs.hook('drain', () => new Promise(() => {}));`));
  assert.equal(it.status, 1, describe(it));
  const waiting = it.report.phases.find((p) => p.name === 'drain').hooks.find((h) => h.name === 'cluster');
  assert.notEqual(waiting.outcome, 'ok', describe(it));
});

test('without gs.cluster() and without hooks a worker stops as any process: when its primary is gone its native hooks run', async () => {
  const it = await signalled(script(`gs.hook('drain', () => {});`, `gs.execHook('flush', ['sh', '-c', 'echo native >&2']);`));
  assert.equal(it.status, 0, describe(it));
  assert.equal((it.stderr.match(/^native$/gm) ?? []).length, 2, describe(it));
});
