import { createServer } from 'node:http';
import { WebSocketServer } from 'ws';
import { gs, ready, PORT, HOST } from './common.mjs';

const server = createServer();
const sockets = new WebSocketServer({ server });
sockets.on('connection', (socket) => socket.on('message', (data) => socket.send(data)));
gs.ws(sockets, { code: 1012, reason: 'restart' });
gs.http(server, { ready: '/readyz' }).listen(PORT, HOST, ready);
