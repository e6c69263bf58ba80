import Koa from 'koa';
import { gs, work, ready, PORT, HOST } from './common.mjs';

const app = new Koa();
app.use(async (context) => {
  await work();
  context.body = 'done\n';
});
gs.http(app.listen(PORT, HOST, ready), { ready: '/readyz' });
