import { createServer } from 'node:http';
import { Server } from 'socket.io';
import { gs, ready, PORT, HOST } from './common.mjs';

const server = createServer();
const io = new Server(server);
io.on('connection', (socket) => socket.on('say', (text, answer) => answer(text)));
gs.socketio(io);
gs.http(server, { ready: '/readyz' }).listen(PORT, HOST, ready);
