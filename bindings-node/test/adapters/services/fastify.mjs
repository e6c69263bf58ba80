import Fastify from 'fastify';
import { gs, work, ready, PORT, HOST } from './common.mjs';

const app = Fastify();
app.register(gs.fastify({ ready: '/readyz' }));
app.addHook('onClose', async () => console.log('onClose in', gs.phase));
app.route({
  method: ['GET', 'POST'],
  url: '/work',
  handler: async () => {
    await work();
    return 'done\n';
  },
});
await app.listen({ port: PORT, host: HOST });
ready();
