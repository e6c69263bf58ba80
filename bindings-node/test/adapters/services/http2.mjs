import { createSecureServer } from 'node:http2';
import { readFileSync } from 'node:fs';
import { gs, work, ready, PORT, HOST } from './common.mjs';

const tls = { key: readFileSync(process.env.TLS_KEY), cert: readFileSync(process.env.TLS_CERT) };
const server = createSecureServer({ ...tls, allowHTTP1: true }, async (request, response) => {
  await work();
  response.end('done\n');
});
gs.http(server).listen(PORT, HOST, ready);
