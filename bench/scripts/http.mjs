// CPU time a request costs in a server of node:http with and without gs.http(): pairs of fresh processes, both warmed up, loaded in
// many short turns (A B B A), user and system time of the server alone. Prints {"ours": [us], "peer": [us], "ratio", "low", "high", "pairs"}.
//   node http.mjs [pairs]          node http.mjs serve bare|graceshut
import { fork } from 'node:child_process';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { fileURLToPath } from 'node:url';

const CONNECTIONS = 8;
const WARM = 3000;
/** Short blocks in many turns: what else the machine does falls on both alike. */
const BLOCK = 500;
const TURNS = 8;

async function serve(mode) {
  const server = createServer((request, response) => {
    response.setHeader('Content-Type', 'text/plain');
    response.end('done\n');
  });
  if (mode === 'graceshut') {
    const { install } = await import('graceshut');
    install({ report: 'none' }).http(server);
  }
  server.listen(0, '127.0.0.1', () => process.send({ port: server.address().port }));
  process.on('message', () => process.send(process.cpuUsage()));
  process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));
}

const answer = (child) =>
  new Promise((done, fail) => {
    const ended = () => fail(new Error('the server ended'));
    child.once('exit', ended).once('message', (message) => {
      child.off('exit', ended);
      done(message);
    });
  });

async function start(mode) {
  const child = fork(fileURLToPath(import.meta.url), ['serve', mode]);
  const { port } = await answer(child);
  return { child, port };
}

const REQUEST = Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n');

/** Sends `count` requests over a few keep-alive connections, one at a time on each. */
function load(port, count) {
  let left = count;
  const one = () =>
    new Promise((done, fail) => {
      let answered = '';
      const socket = connect(port, '127.0.0.1');
      const next = () => (left-- > 0 ? socket.write(REQUEST) : (socket.end(), done()));
      socket.setNoDelay(true).on('connect', next).on('error', fail).on('data', (data) => {
        answered += data.latin1Slice();
        if (!answered.includes('done\n')) return;
        answered = '';
        next();
      });
    });
  return Promise.all(Array.from({ length: CONNECTIONS }, one));
}

const cpu = async ({ child }) => {
  const got = answer(child);
  child.send('cpu');
  const { user, system } = await got;
  return user + system;
};

/** Microseconds of CPU a request. */
async function block(server) {
  const before = await cpu(server);
  await load(server.port, BLOCK);
  return ((await cpu(server)) - before) / BLOCK;
}

async function pair(n) {
  const [bare, ours] = [await start('bare'), await start('graceshut')];
  try {
    for (const s of [bare, ours]) await load(s.port, WARM);
    const sums = new Map([[bare, 0], [ours, 0]]);
    for (let turn = 0; turn < TURNS; turn++) {
      const order = (n + turn) % 2 ? [ours, bare, bare, ours] : [bare, ours, ours, bare];
      for (const s of order) sums.set(s, sums.get(s) + (await block(s)));
    }
    return [sums.get(ours) / (2 * TURNS), sums.get(bare) / (2 * TURNS)];
  } finally {
    for (const s of [bare, ours]) s.child.kill('SIGKILL');
  }
}

async function main(pairs) {
  const ours = [];
  const peer = [];
  for (let n = 0; n < pairs; n++) {
    const [a, b] = await pair(n);
    ours.push(a);
    peer.push(b);
  }
  // The interval of the mean of the logarithms, by Student's t (2.07 for 23 degrees of freedom and above: not smaller than it has to be).
  const logs = ours.map((a, i) => Math.log(a / peer[i]));
  const mean = logs.reduce((s, x) => s + x, 0) / pairs;
  const sd = Math.sqrt(logs.reduce((s, x) => s + (x - mean) ** 2, 0) / (pairs - 1));
  const half = (2.07 * sd) / Math.sqrt(pairs);
  const [ratio, low, high] = [mean, mean - half, mean + half].map(Math.exp);
  console.log(JSON.stringify({ ours, peer, ratio, low, high, pairs }));
}

if (process.argv[2] === 'serve') await serve(process.argv[3]);
else await main(Number(process.argv[2] ?? 24));
