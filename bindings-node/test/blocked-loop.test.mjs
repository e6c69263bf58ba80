import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describe, signalled } from './child.mjs';

test('a blocked loop costs the JavaScript hooks only: native ones run in their phase, on time', async () => {
  const it = await signalled(`
    const gs = install({ grace: '6s', phases: { drain: { cap: '400ms' }, flush: { cap: '400ms' } } });
    gs.hook('drain', () => say('LATE'), { name: 'js' });
    gs.execHook('drain', ['true'], { name: 'native drain' });
    gs.execHook('flush', ['true'], { name: 'native flush' });
    gs.hook('final', () => say('final ran'), { name: 'final' });
    say('ready');
    block(2500);
    stay();`);
  assert.equal(it.status, 1, describe(it));
  const { outcome, why } = it.hook('js');
  assert.deepEqual([outcome, why], ['not_started', 'host_busy'], describe(it));
  assert.deepEqual(['native drain', 'native flush', 'final'].map((n) => it.hook(n).outcome), ['ok', 'ok', 'ok']);
  assert.ok(it.hook('native flush').start_us < 1_000_000, describe(it));
  assert.deepEqual(it.lines, ['final ran'], 'a hook whose time has passed never runs');
});

test('a loop blocked for ever: the watchdog ends the process in time with the decided status', async () => {
  const it = await signalled(`
    const gs = install({ grace: '2s' });
    gs.hook('drain', () => say('LATE'), { name: 'js' });
    gs.execHook('flush', ['true'], { name: 'native' });
    say('ready');
    for (;;);`);
  assert.ok(it.at - it.killedAt < 2200, `${it.at - it.killedAt} ms`);
  assert.deepEqual([it.hook('js').outcome, it.hook('native').outcome], ['not_started', 'ok'], describe(it));
  assert.equal(it.status, it.report.exit_code, describe(it));
  assert.deepEqual(it.lines, []);
});

test('a hook that blocks the loop delays no native hook and no deadline', async () => {
  const it = await signalled(`
    const gs = install({ grace: '3s' });
    gs.hook('drain', () => { say('blocking'); block(1500); }, { name: 'blocker', timeout: 300 });
    gs.execHook('flush', ['true'], { name: 'native' });
    say('ready'); stay();`);
  assert.equal(it.hook('blocker').outcome, 'abandoned', describe(it));
  assert.ok(it.hook('native').start_us < 700_000, describe(it));
  assert.equal(it.status, 1, describe(it));
});
