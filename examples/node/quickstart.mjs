import { createServer } from 'node:http';
import { install } from 'graceshut';

const gs = install({ grace: '10s' });
const server = createServer(async (request, answer) => {
  if (gs.isStopping) answer.setHeader('Connection', 'close');
  answer.end('hello\n');
}).listen(8080, () => console.log('http://127.0.0.1:8080, then Ctrl-C'));

gs.hook('drain', () => new Promise((done) => server.close(done).closeIdleConnections()), { name: 'server' });
gs.hook('flush', async ({ reason, remaining }) => {
  console.log(`saving after ${reason.signal}, ${Math.round(remaining)} ms left`);
}, { name: 'buffers', timeout: '3s' });
