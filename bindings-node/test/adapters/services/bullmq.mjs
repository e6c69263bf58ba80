import { Worker } from 'bullmq';
import { setTimeout as sleep } from 'node:timers/promises';
import { gs, ready } from './common.mjs';

const worker = new Worker(
  'jobs',
  async (job) => {
    console.log('begin', job.data.n);
    await sleep(100);
    console.log('end', job.data.n);
  },
  { connection: { host: '127.0.0.1', port: Number(process.env.REDIS_PORT) }, concurrency: 5 },
);
gs.bullmq(worker);
await worker.waitUntilReady();
ready();
