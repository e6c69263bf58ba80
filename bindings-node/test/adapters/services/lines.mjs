// A server without an adapter: lines over TLS, answered one by one.
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { createServer } from 'node:tls';
import { gs, work, ready, PORT, HOST } from './common.mjs';

const idle = new Set();
const server = createServer({ key: readFileSync(process.env.TLS_KEY), cert: readFileSync(process.env.TLS_CERT) }, async (socket) => {
  idle.add(socket);
  socket.on('error', () => {}).on('close', () => idle.delete(socket));
  for await (const line of createInterface({ input: socket })) {
    if (!lines.tryEnter()) break;
    idle.delete(socket);
    await work();
    socket.write(`${line} done\n`);
    lines.leave();
    if (lines.stopping) break;
    idle.add(socket);
  }
  socket.end();
});
const lines = gs.listener(server, {
  name: 'lines',
  close: () => {
    server.close();
    for (const socket of idle) socket.end();
  },
});
server.listen(PORT, HOST, ready);
