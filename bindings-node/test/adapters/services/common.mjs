// What every service of the adapter tests has: listeners of its own before and after install, a hook in each phase, 10 ms of work.
import { setTimeout as sleep } from 'node:timers/promises';
import { install } from 'graceshut';

const kept = (which) => {
  for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => console.log(`kept ${which}`));
};

kept('before');
/** The announce delay stands for the time a balancer needs to notice. */
export const gs = install({ grace: '10s', announceDelay: '300ms', report: process.env.GRACESHUT_REPORT });
kept('after');

for (const [phase, name] of [
  ['announce', 'deregister'],
  ['flush', 'buffers'],
  ['close', 'pool'],
  ['final', 'telemetry'],
]) {
  gs.hook(phase, () => sleep(10), { name });
}

export const PORT = Number(process.env.PORT);
export const HOST = '127.0.0.1';
export const work = () => sleep(10);
export const ready = () => console.log('ready');
