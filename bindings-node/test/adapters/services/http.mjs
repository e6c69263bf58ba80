import { createServer } from 'node:http';
import { gs, work, ready, PORT, HOST } from './common.mjs';

const server = createServer(async (request, response) => {
  await work();
  response.end('done\n');
});
gs.http(server, { ready: '/readyz' }).listen(PORT, HOST, ready);
