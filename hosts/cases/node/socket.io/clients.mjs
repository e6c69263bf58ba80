// 20 clients; each has to hear of the end in order (1006 is a cut connection) so that it comes back elsewhere at once.
import { io as connect } from 'socket.io-client';

let left = 20;
for (let n = 0; n < 20; n++) {
  const socket = connect(`http://127.0.0.1:${process.env.PORT}`, { transports: ['websocket'], reconnectionDelay: 60_000, reconnectionDelayMax: 60_000 });
  socket.on('connect', () => {
    console.log('begun', n);
    left -= 1;
    if (left === 0) console.log('ready');
  });
  socket.on('disconnect', (reason, details) => {
    const code = details?.context?.code ?? '';
    console.log(socket.active && code !== 1006 ? 'done' : 'cut', n, reason, code);
    socket.io.reconnection(false);
    socket.close();
  });
}
