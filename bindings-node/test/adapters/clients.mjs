// Load for what `graceshut verify` does not speak: HTTP/2, WebSocket, gRPC, socket.io. A request counts as lost when it got no complete answer,
// unless its connection was refused or HTTP/2 says that it was never looked at.
import http2 from 'node:http2';
import { setTimeout as sleep } from 'node:timers/promises';

const PAUSE_MS = 5;
const newTally = () => ({ sent: 0, answered: 0, refused: 0, goaways: 0, lost: [] });

/** HTTP/2: `sessions` connections with `each` streams at a time; after a GOAWAY a client goes on over a new connection. */
export function http2Load(port, sessions = 4, each = 4) {
  const tally = newTally();
  const open = () =>
    new Promise((done, fail) => {
      const session = http2.connect(`https://127.0.0.1:${port}`, { rejectUnauthorized: false });
      session.on('goaway', () => tally.goaways++);
      session.on('error', fail).once('connect', () => done(session));
    });
  const once = (session, n) =>
    new Promise((done) => {
      let status;
      const stream = session.request({ ':path': '/work', ':method': n % 2 ? 'POST' : 'GET' });
      stream.on('response', (headers) => (status = headers[':status'])).on('error', done);
      stream.resume().on('end', () => done(status ?? new Error('ended without an answer')));
      stream.end(n % 2 ? '{"n":1}' : undefined);
    });
  const connection = async () => {
    let session;
    let opening;
    let told = false;
    const usable = () => session && !session.closed && !session.destroyed;
    const connect = () =>
      (opening ??= open().then(
        (s) => ((session = s), (opening = undefined)),
        (e) => {
          told = true;
          if (e.code === 'ECONNREFUSED') tally.refused++;
          else tally.lost.push(`connect: ${e}`);
        },
      ));
    const client = async () => {
      for (let n = 0; !told; n++) {
        while (!usable() && !told) await connect();
        if (told) return;
        tally.sent++;
        const got = await once(session, n);
        if (got === 200) tally.answered++;
        else if (got === 503) (tally.refused++, (told = true));
        else if (/REFUSED_STREAM|GOAWAY_SESSION|INVALID_SESSION/.test(`${got?.code} ${got?.message}`)) tally.refused++;
        else (tally.lost.push(String(got)), (told = true));
        await sleep(PAUSE_MS * (0.5 + Math.random()));
      }
    };
    await Promise.all(Array.from({ length: each }, client));
    session?.close();
  };
  const over = Promise.all(Array.from({ length: sessions }, connection));
  return { tally, over };
}

/** `clients` WebSockets that echo; each notes how it was closed. */
export async function wsLoad(WebSocket, port, clients) {
  const closes = [];
  const one = (n) =>
    new Promise((open, fail) => {
      const socket = new WebSocket(`ws://127.0.0.1:${port}/`);
      const timer = setInterval(() => socket.readyState === socket.OPEN && socket.send(String(n)), 50);
      socket.on('message', () => open());
      socket.on('error', fail);
      closes.push(
        new Promise((done) =>
          socket.on('close', (code, reason) => {
            clearInterval(timer);
            done({ code, reason: String(reason), at: performance.now() });
          }),
        ),
      );
    });
  await Promise.all(Array.from({ length: clients }, (_, n) => one(n)));
  return Promise.all(closes);
}

/** gRPC: `clients` that call again and again, without retries. UNAVAILABLE says that the call was never looked at. */
export function grpcLoad(grpc, port, clients = 8) {
  const tally = newTally();
  const text = { serialize: (value) => Buffer.from(value), deserialize: (bytes) => bytes.toString() };
  const client = async () => {
    const options = { 'grpc.enable_retries': 0, 'grpc.use_local_subchannel_pool': 1 };
    const one = new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure(), options);
    for (let gone = false; !gone; await sleep(PAUSE_MS)) {
      tally.sent++;
      const error = await new Promise((done) => one.makeUnaryRequest('/demo.Demo/Work', text.serialize, text.deserialize, 'x', done));
      if (!error) tally.answered++;
      else if (error.code === grpc.status.UNAVAILABLE && !/ECONNRESET|dropped/i.test(error.details)) tally.refused++;
      else tally.lost.push(`${error.code} ${error.details}`);
      gone = /ECONNREFUSED|No connection established/.test(error?.details) || tally.lost.length > 0;
    }
    one.close();
  };
  return { tally, over: Promise.all(Array.from({ length: clients }, client)) };
}

/** `clients` of socket.io, half of them polling; each notes how it was disconnected and whether it comes back by itself. */
export async function socketIoLoad(connect, port, clients) {
  const closes = [];
  const one = (n) =>
    new Promise((open) => {
      const socket = connect(`http://127.0.0.1:${port}`, { transports: [n % 2 ? 'websocket' : 'polling'], forceNew: true });
      const timer = setInterval(() => socket.connected && socket.emit('say', 'x', () => open()), 50);
      closes.push(
        new Promise((done) =>
          socket.on('disconnect', (reason) => {
            clearInterval(timer);
            done({ reason, back: socket.active });
            socket.disconnect();
          }),
        ),
      );
    });
  await Promise.all(Array.from({ length: clients }, (_, n) => one(n)));
  return { closed: Promise.all(closes) };
}
