import polka from 'polka';
import { gs, work, ready, PORT, HOST } from './common.mjs';

const app = polka().all('/work', async (request, response) => {
  await work();
  response.end('done\n');
});
app.listen(PORT, HOST, ready);
gs.http(app.server, { ready: '/readyz' });
