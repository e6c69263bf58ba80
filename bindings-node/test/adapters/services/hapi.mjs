import Hapi from '@hapi/hapi';
import { gs, work, ready, PORT, HOST } from './common.mjs';

const server = Hapi.server({ port: PORT, host: HOST });
server.route({
  method: ['GET', 'POST'],
  path: '/work',
  handler: async () => {
    await work();
    return 'done\n';
  },
});
gs.http(server.listener, { ready: '/readyz' });
await server.start();
ready();
