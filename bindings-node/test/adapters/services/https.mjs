import { createServer } from 'node:https';
import { readFileSync } from 'node:fs';
import { gs, work, ready, PORT, HOST } from './common.mjs';

const tls = { key: readFileSync(process.env.TLS_KEY), cert: readFileSync(process.env.TLS_CERT) };
const server = createServer(tls, async (request, response) => {
  await work();
  response.end('done\n');
});
gs.http(server, { ready: '/readyz' }).listen(PORT, HOST, ready);
