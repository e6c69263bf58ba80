import { createServer } from 'node:http';
import { install } from 'graceshut';

const gs = install({ grace: '10s' });
const server = createServer((request, answer) => answer.end('hello\n'));
gs.http(server).listen(8080, () => console.log('http://127.0.0.1:8080, then Ctrl-C'));

gs.hook('flush', async ({ reason, remaining }) => {
  console.log(`saving after ${reason.signal}, ${Math.round(remaining)} ms left`);
}, { name: 'buffers', timeout: '3s' });
