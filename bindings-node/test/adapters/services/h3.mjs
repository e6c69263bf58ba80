import { createServer } from 'node:http';
import { H3, toNodeHandler } from 'h3';
import { gs, work, ready, PORT, HOST } from './common.mjs';

const app = new H3().all('/work', async () => {
  await work();
  return 'done\n';
});
gs.http(createServer(toNodeHandler(app)), { ready: '/readyz' }).listen(PORT, HOST, ready);
