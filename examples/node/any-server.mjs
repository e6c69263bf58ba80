// A server that graceshut has no adapter for, here lines over TCP: its listener, its own stop, and a gate around each piece of work.
//
// HTTP says `Connection: close` with its last answer. A protocol without such a word needs one, or a line that is on its way when the
// server closes gets no answer. Here it is `try again`: the answer to a line from drain on, and the last that a connection hears.
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { install } from 'graceshut';

const gs = install({ grace: '10s' });
const busy = new Map(); // each connection: is a line of it being worked on?
let over = false;

const goodbye = (socket) => socket.writableEnded || socket.end('try again\n');

const server = createServer(async (socket) => {
  socket.on('error', () => {}).on('close', () => busy.delete(socket));
  busy.set(socket, false);
  for await (const line of createInterface({ input: socket })) {
    // What comes after the goodbye is read: unread it would become a reset, which takes the goodbye with it.
    if (socket.writableEnded) continue;
    if (!lines.tryEnter()) { // from drain on
      goodbye(socket);
      continue;
    }
    busy.set(socket, true);
    await sleep(20);
    socket.write(`${line} done\n`);
    lines.leave();
    busy.set(socket, false);
    if (over) goodbye(socket);
  }
});

const lines = gs.listener(server, {
  name: 'lines',
  close: () => new Promise((done) => { // no client waits in the listener's queue now
    over = true;
    server.close(done); // when every client has closed its side too
    for (const [socket, working] of busy) if (!working) goodbye(socket);
    setTimeout(() => busy.forEach((working, socket) => working || socket.destroy()), 1000).unref();
  }),
});

server.listen(Number(process.env.PORT ?? 7000), '127.0.0.1', () => console.log('ready'));
