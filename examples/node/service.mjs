// The demo service: HTTP with keep-alive on PORT. On SIGTERM it leaves without losing a request: `gs.http` turns readiness red, tells
// clients to leave with an answer in hand, refuses new work in words, and closes the listener when no client waits in its queue.
import { createServer } from 'node:http';
import { closeSync, openSync, unlinkSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { install } from 'graceshut';

const PORT = Number(process.env.PORT ?? 8080);

const gs = install({ grace: '10s' });

const server = createServer({ keepAliveTimeout: 60_000 }, async (request, answer) => {
  request.resume();
  if (request.url !== '/work') {
    answer.writeHead(404, { 'Content-Type': 'text/plain' });
    return answer.end('not found\n');
  }
  await sleep(20);
  answer.writeHead(200, { 'Content-Type': 'text/plain' });
  answer.end('done\n');
});
gs.http(server, { ready: '/readyz', name: 'server' });

const path = join(tmpdir(), `graceshut-demo-${process.pid}.offsets`);
const offsets = openSync(path, 'w');

gs.hook('announce', () => sleep(10), { name: 'deregister' });
gs.hook('flush', async () => { await sleep(50); }, { name: 'buffers' });
gs.hook('flush', () => { writeSync(offsets, '42\n'); }, { name: 'offsets' });
gs.hook('close', () => sleep(20), { name: 'pool' });
gs.hook('close', () => { closeSync(offsets); unlinkSync(path); }, { name: 'files' });
gs.hook('final', () => sleep(10), { name: 'telemetry' });

server.listen(PORT, '127.0.0.1', () => console.log('ready'));
