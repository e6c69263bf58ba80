import restify from 'restify';
import { gs, work, ready, PORT, HOST } from './common.mjs';

const server = restify.createServer();
const handler = async (request, response) => {
  await work();
  response.send(200, 'done\n');
};
server.get('/work', handler);
server.post('/work', handler);
gs.http(server, { ready: '/readyz' });
server.listen(PORT, HOST, ready);
