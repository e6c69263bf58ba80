// The demo service on Fastify: the same hooks, routes and times as service.mjs, with the server left to graceshut's adapter.
// The plugin serves on through announce, answers 503 from drain on, closes the listener once no client comes any more, and then
// lets Fastify close: what its onClose hooks give back is given back in the phase `close`.
import { closeSync, openSync, unlinkSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import Fastify from 'fastify';
import { install } from 'graceshut';

const PORT = Number(process.env.PORT ?? 8080);

const gs = install({ grace: '10s' });
const app = Fastify();
app.register(gs.fastify({ name: 'server', closeName: 'files', ready: '/readyz' }));

app.route({
  method: ['GET', 'POST'],
  url: '/work',
  handler: async () => {
    await sleep(20);
    return 'done\n';
  },
});

const name = join(tmpdir(), `graceshut-demo-${process.pid}.offsets`);
const offsets = openSync(name, 'w');
app.addHook('onClose', async () => {
  closeSync(offsets);
  unlinkSync(name);
});

gs.hook('announce', () => sleep(10), { name: 'deregister' });
gs.hook('flush', () => sleep(50), { name: 'buffers' });
gs.hook('flush', () => void writeSync(offsets, '42\n'), { name: 'offsets' });
gs.hook('close', () => sleep(20), { name: 'pool' });
gs.hook('final', () => sleep(10), { name: 'telemetry' });

await app.listen({ port: PORT, host: '127.0.0.1' });
console.log('ready');
