import http from 'node:http';
import { Server } from 'socket.io';

const server = http.createServer();
const io = new Server(server);
if (process.env.WITH) {
  const { install } = await import('graceshut');
  const gs = install({ grace: '8s' });
  gs.http(server);
  gs.socketio(io);
  gs.hook('flush', () => console.log('hook flush'), { name: 'flush' });
} else {
  process.on('SIGTERM', () => { io.close(); });
}
server.listen(Number(process.env.PORT), '127.0.0.1', () => console.log('ready'));
