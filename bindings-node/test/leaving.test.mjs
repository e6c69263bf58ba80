// Who leaves first (spec 6.6): a program with a listener of its own may be stopping by itself when the plan is over.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { describe, finish, signalled, start } from './child.mjs';

const PLAN = `
  const gs = install({ grace: '4s' });
  gs.hook('flush', () => say('flush'), { name: 'flush' });
  process.on('exit', (code) => say('exit', code));`;
const took = (it) => it.at - it.killedAt;

test('a stop of its own that takes longer than the plan is not cut: the loop empties', async () => {
  const it = await signalled(`${PLAN} const t = stay();
    process.on('SIGTERM', async () => { await sleep(800); say('own stop is over'); clearInterval(t); }); say('ready');`);
  assert.deepEqual([it.status, it.lines], [0, ['flush', 'own stop is over', 'exit 0']], describe(it));
  assert.ok(took(it) >= 800 && took(it) < 2500, `${took(it)} ms`);
});

test('the same with once, which is gone when the plan is over, and with process.exit of its own', async () => {
  const it = await signalled(`${PLAN} stay();
    process.once('SIGTERM', async () => { await sleep(800); say('own stop is over'); process.exit(3); }); say('ready');`);
  assert.deepEqual([it.status, it.lines], [3, ['flush', 'own stop is over', 'exit 3']], describe(it));
});

test('it is made to leave at D, not before and not much later', async () => {
  const it = await signalled(`${PLAN} stay(); process.on('SIGTERM', () => {}); say('ready');`);
  assert.ok(took(it) > 3500 && took(it) < 5000, `${took(it)} ms`);
  // The loop has 60 ms from D to the watchdog, which writes nothing more: on a busy machine too few.
  assert.ok(['made_to', 'by_itself'].includes(it.report.leave.how), describe(it));
  const made = it.report.leave.how === 'made_to';
  assert.ok(made || !it.lines.some((line) => line.startsWith('exit')), describe(it));
  assert.deepEqual([it.status, it.report.outcome], made ? [1, 'degraded'] : [0, 'clean'], describe(it));
});

test('a second signal is the program’s alone: one that tolerates it goes on; the third leaves at once', async () => {
  const stop = 'let told = 0; process.on("SIGTERM", () => { say("told"); if (!told++) setTimeout(() => { say("stopped"); process.exit(0); }, 2500); });';
  for (const [times, lines, status] of [[2, ['flush', 'stopped', 'exit 0', 'told', 'told'], 0], [3, null, 1]]) {
    const it = start(`${PLAN.replace("'4s'", "'20s'")} stay(); ${stop} say('ready');`);
    await it.said();
    for (let i = 0; i < times; i++) {
      it.kill('SIGTERM');
      if (i === 0) await it.said('flush');
      if (i < times - 1) await new Promise((resolve) => setTimeout(resolve, 700)); // later than a duplicate (spec 7.1)
    }
    await finish(it);
    assert.equal(it.status, status, describe(it));
    if (lines) assert.deepEqual([it.lines.toSorted(), it.report.outcome, it.report.leave.how], [lines.toSorted(), 'clean', 'by_itself']);
    else assert.ok(!it.lines.includes('stopped'), describe(it));
  }
});

test('the program’s re-raise says that its own stop is over, before the end of the plan and after it', async () => {
  for (const at of [20, 700]) {
    const it = await signalled(`${PLAN} gs.hook('drain', () => sleep(300)); stay();
      process.once('SIGTERM', async () => { await sleep(${at}); say('again'); process.kill(process.pid, 'SIGTERM'); }); say('ready');`);
    assert.deepEqual([it.status, it.report.outcome], [0, 'clean'], describe(it));
    assert.deepEqual(it.lines.toSorted(), ['again', 'exit 0', 'flush']);
    assert.ok(took(it) >= at && took(it) < 2500, `${took(it)} ms`);
  }
});

test('without a listener of its own, with leave: at_once, and for who waits: at once', async () => {
  for (const script of [`stay();`, `stay(); process.on('SIGTERM', () => {}); gs.wait();`, `stay(); process.on('SIGTERM', async () => { await gs.wait(); });`]) {
    const it = await signalled(`${PLAN} ${script} say('ready');`);
    assert.equal(it.status, 0, describe(it));
    assert.ok(took(it) < 2000, `${script} ${took(it)} ms`);
  }
  const it = await signalled(`${PLAN.replace("'4s'", "'4s', leave: 'at_once'")} stay(); process.on('SIGTERM', () => {}); say('ready');`);
  assert.ok(it.status === 0 && took(it) < 2000, `${took(it)} ms ${describe(it)}`);
  const by = await signalled(`${PLAN.replace("'4s'", "'4s', leave: 'by_itself'")} const t = stay(); setTimeout(() => clearInterval(t), 1200); say('ready');`);
  assert.ok(by.status === 0 && took(by) > 500, `${took(by)} ms ${describe(by)}`);
});

test('a channel to a parent keeps no process that is over', async () => {
  const it = await signalled(`
    const child = require('node:child_process').fork('kid.cjs', { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    child.on('message', () => { process.once('SIGTERM', () => child.kill('SIGTERM')); say('ready'); });
    child.on('exit', (code, signal) => { say('kid left', code, signal); process.exit(0); });`.replace(/^/, `
    require_fs.writeFileSync('kid.cjs', \`
      const { install } = require('graceshut'); install({ grace: '8s', report: 'none' });
      process.on('SIGTERM', () => {}); process.on('disconnect', () => {}); process.send('up');\`);`));
  assert.deepEqual(it.lines, ['kid left 0 '], describe(it));
  assert.ok(took(it) < 4000, `${took(it)} ms`);
});

for (const [how, [plan, stops]] of Object.entries({
  'its loop empties after the plan': [0, 'setTimeout(() => clearInterval(t), 500)'],
  'it exits after the plan': [0, 'setTimeout(() => process.exit(0), 500)'],
  'it exits while the plan runs': [500, 'setTimeout(() => process.exit(0), 50)'],
})) {
  test(`an INT that the program handles does not kill it: ${how}`, async () => {
    const it = await signalled(`
      ${PLAN} const t = stay();
      gs.hook('drain', () => sleep(${plan}), { name: 'drain' });
      process.on('SIGINT', () => { ${stops}; }); say('ready');`, { signal: 'SIGINT' });
    assert.deepEqual([it.status, it.signal, it.report.exit_code], [0, null, 0], describe(it));
    assert.deepEqual([it.hook('drain').outcome, it.hook('flush').outcome], ['ok', 'ok']);
  });
}

for (const [how, fails] of Object.entries({
  'a rejection after the plan': [0, 'throw new Error("could not save")'],
  'an exception after the plan': [0, 'setTimeout(() => { throw new Error("could not save"); })'],
  'a rejection while the plan runs': [700, 'throw new Error("could not save")'],
}).map(([name, [plan, code]]) => [name, { plan, code }])) {
  test(`an error in the program's own stop ends it, with 1: ${how}`, async () => {
    const it = await signalled(`
      ${PLAN} stay();
      gs.hook('drain', () => sleep(${fails.plan}), { name: 'drain' });
      process.on('SIGTERM', async () => { await sleep(300); ${fails.code} }); say('ready');`);
    assert.deepEqual([it.status, it.report.exit_code, it.hook('drain').outcome], [1, 1, 'ok'], describe(it));
    if (fails.plan === 0) assert.match(it.report.warnings.join(), /own stop ended by an uncaught error: could not save/);
    assert.match(it.stderr, /could not save/);
    assert.ok(took(it) < 2500, `${took(it)} ms`);
  });
}

test('a status of its own is kept after the plan, also after INT', async () => {
  const it = await signalled(`${PLAN} stay(); process.on('SIGINT', () => setTimeout(() => process.exit(3), 300)); say('ready');`, { signal: 'SIGINT' });
  assert.deepEqual([it.status, it.report.exit_code], [3, 3], describe(it));
});

test('a second signal that the program has no listener for ends it, as it would without graceshut; a duplicate does not', async () => {
  for (const [first, second, status] of [['SIGTERM', 'SIGTERM', 143], ['SIGINT', 'SIGINT', 'SIGINT'], ['SIGTERM', 'SIGINT', 130]]) {
    const it = start(`${PLAN.replace("'4s'", "'20s'")} stay(); process.once('${first}', () => say('own stop hangs')); say('ready');`, { env: { GRACESHUT_REPORT: 'report.json' } });
    it.file = join(it.cwd, 'report.json');
    await it.said();
    it.kill(first);
    await it.said('flush');
    it.child.kill(second); // a duplicate (spec 7.1)
    await new Promise((resolve) => setTimeout(resolve, 800));
    assert.equal(it.child.exitCode, null, describe(it));
    it.kill(second);
    await finish(it);
    assert.deepEqual([it.status, it.lines.toSorted()], [status, [`exit ${status === 143 ? 143 : 130}`, 'flush', 'own stop hangs']], describe(it));
    assert.ok(took(it) < 3000, `${took(it)} ms`);
    assert.match(JSON.parse(readFileSync(it.file, 'utf8')).warnings.join(), /own stop was ended by another signal/);
  }
});

test('with leave: by_itself the program may have a handler that cannot be seen: a second signal changes nothing', async () => {
  const it = start(`${PLAN.replace("'4s'", "'20s', leave: 'by_itself'")} const t = stay(); setTimeout(() => clearInterval(t), 2500); say('ready');`);
  await it.said();
  it.kill();
  await it.said('flush');
  await new Promise((resolve) => setTimeout(resolve, 800));
  it.child.kill('SIGTERM');
  await finish(it);
  assert.deepEqual([it.status, it.report.outcome], [0, 'clean'], describe(it));
  assert.ok(took(it) > 1500, `${took(it)} ms`);
});
