// A server that graceshut has no adapter for, here lines over TCP: its listener, its own stop, and a gate around each piece of work.
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { install } from 'graceshut';

const gs = install({ grace: '10s' });
const idle = new Set();

const server = createServer(async (socket) => {
  socket.on('error', () => {}).on('close', () => idle.delete(socket));
  idle.add(socket);
  for await (const line of createInterface({ input: socket })) {
    if (!lines.tryEnter()) { // from drain on: refused in words
      socket.write('try again\n');
      break;
    }
    idle.delete(socket);
    await sleep(20);
    socket.write(`${line} done\n`);
    lines.leave();
    if (lines.stopping) break; // the answer was the last one of this connection
    idle.add(socket);
  }
  socket.end();
});

const lines = gs.listener(server, {
  name: 'lines',
  close: () => { // nobody waits in the listener's queue now
    server.close();
    for (const socket of idle) socket.end();
  },
});

server.listen(Number(process.env.PORT ?? 7000), '127.0.0.1', () => console.log('ready'));
