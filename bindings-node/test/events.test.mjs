// Events as an EventEmitter and on diagnostics channels; the promises and the guards.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describe, signalled } from './child.mjs';

test('events: the same objects by name, as event, and on diagnostics channels subscribed before install', async () => {
  const it = await signalled(`
    const dc = require('node:diagnostics_channel');
    const seen = [];
    dc.subscribe('graceshut:phase_start', (e, name) => seen.push(['channel', name, e]));
    dc.subscribe('graceshut:event', (e, name) => e.event === 'phase_start' && seen.push(['channel', name, e]));
    const gs = install();
    gs.on('phase_start', (e) => seen.push(['emitter', 'phase_start', e]));
    gs.on('event', (e) => e.event === 'phase_start' && seen.push(['emitter', 'event', e]));
    gs.wait().then(() => {
      const first = seen.slice(0, 4);
      say(first.map(([how, name]) => how + ' ' + name).join());
      say(new Set(first.map(([, , e]) => e)).size, first[0][2].phase, typeof first[0][2].budget, gs instanceof require('node:events'));
      say(seen.length);
    });
    stay(); say('ready');`);
  assert.equal(it.status, 0, describe(it));
  assert.deepEqual(it.lines, [
    'channel graceshut:phase_start,emitter phase_start,channel graceshut:event,emitter event',
    '1 announce number true',
    '20',
  ]);
});

test('a subscriber that throws is told and keeps nothing back', async () => {
  const it = await signalled(`
    const dc = require('node:diagnostics_channel');
    dc.subscribe('graceshut:trigger', () => { throw new Error('of the subscriber'); });
    const gs = install();
    process.on('uncaughtException', (e) => say('told', e.message));
    gs.on('trigger', () => say('emitted'));
    gs.hook('flush', () => say('flush'));
    stay(); say('ready');`);
  assert.equal(it.status, 0, describe(it));
  assert.deepEqual(it.lines.toSorted(), ['emitted', 'flush', 'told of the subscriber']);
});

test('stopping resolves at announce, draining when work is refused, both before their hooks end', async () => {
  const it = await signalled(`
    const gs = install({ announceDelay: '300ms' , serving: true, platform: undefined });
    const t = []; const at = (what) => () => t.push(what + ' ' + gs.isStopping + ' ' + gs.isDraining);
    gs.stopping.then(at('stopping')); gs.draining.then(at('draining'));
    gs.hook('announce', () => sleep(50).then(at('announced')));
    gs.hook('drain', () => sleep(50).then(at('drained')));
    gs.hook('final', () => say(t.join()));
    stay(); say('ready');`);
  assert.equal(it.status, 0, describe(it));
  assert.equal(it.lines[0], 'stopping true false,announced true false,draining true true,drained true true', describe(it));
});
