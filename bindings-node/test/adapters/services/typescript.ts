// For tsx, ts-node, vite-node: run as they run a program.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { install } from 'graceshut';

const PORT = Number(process.env.PORT);
const sleep = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));

const gs = install({ grace: '10s', announceDelay: '300ms' });
for (const [phase, name] of [['announce', 'deregister'], ['flush', 'buffers'], ['close', 'pool'], ['final', 'telemetry']]) {
  gs.hook(phase, () => sleep(10), { name });
}
const server = createServer(async (request: IncomingMessage, response: ServerResponse) => {
  await sleep(10);
  response.end('done\n');
});
gs.http(server, { ready: '/readyz' }).listen(PORT, '127.0.0.1', () => console.log('ready'));
