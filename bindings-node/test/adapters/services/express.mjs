import express from 'express';
import { gs, work, ready, PORT, HOST } from './common.mjs';

const app = express().use(express.json());
app.all('/work', async (request, response) => {
  await work();
  response.send('done\n');
});
gs.http(app.listen(PORT, HOST, ready), { ready: '/readyz' });
