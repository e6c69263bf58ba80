// moleculer has listeners for signals of its own, which stop the broker and call process.exit.
import { ServiceBroker } from 'moleculer';
import ApiGateway from 'moleculer-web';
import { gs, work, ready, PORT, HOST } from './common.mjs';

const broker = new ServiceBroker({ logger: false });
broker.createService({
  name: 'jobs',
  actions: {
    async work() {
      await work();
      return 'done\n';
    },
  },
});
const api = broker.createService({ mixins: [ApiGateway], settings: { port: PORT, ip: HOST, routes: [{ path: '/', aliases: { 'GET work': 'jobs.work', 'POST work': 'jobs.work' } }] } });
gs.http(api.server, { ready: '/readyz' });
await broker.start();
ready();
