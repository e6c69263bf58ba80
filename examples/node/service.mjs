// The demo service: HTTP with keep-alive on PORT. On SIGTERM it leaves without losing a request:
// - readiness turns red and every answer says `Connection: close`, so that clients leave with an answer in hand;
// - from drain on new work is answered with 503; work in flight is finished and counted by graceshut;
// - the listener stays open until nobody has come with work for a while: closing it earlier would reset what waits in its queue.
import { createServer } from 'node:http';
import { closeSync, openSync, unlinkSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { install } from 'graceshut';

const PORT = Number(process.env.PORT ?? 8080);
/** How long nobody has to have come with work before the listener is closed (probes keep coming). */
const QUIET_MS = 200;

const gs = install({ grace: '10s', serving: true });

let lastCame = 0;
/** Connections that have not asked for anything yet. */
const silent = new Set();
const server = createServer({ keepAliveTimeout: 60_000 }, async (request, answer) => {
  const end = (status, text) => {
    if (gs.isStopping) answer.setHeader('Connection', 'close');
    answer.writeHead(status, { 'Content-Type': 'text/plain' }).end(`${text}\n`);
  };
  silent.delete(request.socket);
  request.resume();
  if (request.url === '/readyz') return gs.isStopping ? end(503, 'stopping') : end(200, 'ready');
  if (request.url !== '/work') return end(404, 'not found');
  lastCame = performance.now();
  if (!gs.tryEnter()) return end(503, 'draining');
  answer.once('close', () => gs.leave()); // the last byte is out, or the client is gone
  await sleep(20);
  end(200, 'done');
});
server.on('connection', (socket) => {
  silent.add(socket);
  socket.once('close', () => silent.delete(socket));
});

const offsets = openSync(join(tmpdir(), `graceshut-demo-${process.pid}.offsets`), 'w');

gs.hook('announce', () => sleep(10), { name: 'deregister' });

gs.hook('drain', async ({ signal }) => {
  lastCame = performance.now();
  const quiet = () => gs.inFlight === 0 && silent.size === 0 && performance.now() - lastCame >= QUIET_MS;
  while (!signal.aborted && !quiet()) await sleep(10);
  const closed = new Promise((done) => server.close(done));
  server.closeIdleConnections();
  signal.addEventListener('abort', () => server.closeAllConnections());
  await closed;
}, { name: 'server' });

gs.hook('flush', async () => { await sleep(50); }, { name: 'buffers' });
gs.hook('flush', () => { writeSync(offsets, '42\n'); }, { name: 'offsets' });
gs.hook('close', () => sleep(20), { name: 'pool' });
gs.hook('close', () => { closeSync(offsets); unlinkSync(join(tmpdir(), `graceshut-demo-${process.pid}.offsets`)); }, { name: 'files' });
gs.hook('final', () => sleep(10), { name: 'telemetry' });

server.listen(PORT, '127.0.0.1', () => console.log('ready'));
