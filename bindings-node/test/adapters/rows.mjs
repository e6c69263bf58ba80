// What is run for each row of the table, and what has to come of it.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { grpcLoad, http2Load, socketIoLoad, wsLoad } from './clients.mjs';
import { freePort, hooksMissing, scratch, signalsKept, start, verify } from './process.mjs';

const require = createRequire(import.meta.url);
const here = import.meta.dirname ?? new URL('.', import.meta.url).pathname;
const service = (name) => join(here, 'services', `${name}.mjs`);
const versionOf = (name) => JSON.parse(readFileSync(join(here, 'node_modules', name, 'package.json'), 'utf8')).version;
export const NODE = `Node ${process.versions.node.split('.').slice(0, 2).join('.')}`;
const VERIFY = '`graceshut verify`';
const CLIENTS = 'clients of the test';
/** Requests in a second that a busy machine still makes; fewer are no load. */
const MIN_LOAD = 50;

/** Words for a status. */
const left = ({ code, signal }) => (signal ? `death by ${signal.replace('SIG', '')}` : String(code));

/** A row from what was seen; `problems` lists what is not as it has to be. */
function row({ sent, lost, exit, expected = '0', report, out, signal, extra = [] }) {
  const missing = hooksMissing(report);
  const kept = signalsKept(out, report, signal);
  const problems = [...extra];
  if (missing.length) problems.push(`hooks: ${missing.join(', ')}`);
  if (!kept) problems.push(`a listener was not called, or the handler is not ours: ${JSON.stringify(report?.handler)}`);
  if (lost !== 0) problems.push(`${lost} lost`);
  if (exit !== expected) problems.push(`exit ${exit}, not ${expected}`);
  if (report && report.outcome !== 'clean') problems.push(`outcome ${report.outcome}`);
  if (problems.length) problems.push(out);
  return { sent, lost, exit, kept: kept ? 'yes' : 'NO', hooks: missing.length ? `NOT ${missing.join(', ')}` : 'all', problems };
}

function fromVerify(v, options = {}) {
  const { requests: r } = v;
  const extra = v.passed ? [] : [`verify: ${v.failures.join('; ')}`];
  if (r.sent < MIN_LOAD) extra.push(`only ${r.sent} requests: no load`);
  if (r.refused_503 === 0) extra.push('nobody was answered 503: the drain did not refuse');
  return row({ sent: r.sent, lost: r.lost, exit: left({ code: v.exit.code, signal: v.exit.signal_name }), report: v.report, out: v.out, extra, ...options });
}

const verified = (name, options) => async () => fromVerify(await verify([process.execPath, service(name)], options));

/** Our own report of a service started by start(). */
function reportOf(it) {
  const name = basename(it.report).replace('%p.json', '');
  const files = readdirSync(scratch).filter((f) => f.startsWith(name));
  return files.map((f) => JSON.parse(readFileSync(join(scratch, f), 'utf8')));
}

/** Starts a service, loads it, sends TERM to its main process, waits for the end of both. */
async function loaded(name, env, load) {
  const port = await freePort();
  const it = start([process.execPath, service(name)], { PORT: String(port), ...env });
  try {
    await it.said('ready');
    const client = load(port);
    await sleep(1000);
    it.child.kill('SIGTERM');
    const end = await it.ended;
    await client.over;
    const { sent, lost, refused, answered, goaways } = client.tally;
    const extra = lost.slice(0, 5);
    if (answered < MIN_LOAD) extra.push(`only ${answered} answers: no load`);
    if (refused === 0) extra.push('nobody was told to leave');
    if (name === 'http2' && goaways === 0) extra.push('no GOAWAY was seen');
    return row({ sent, lost: lost.length, exit: left(end), report: reportOf(it)[0], out: it.out, extra });
  } finally {
    it.killGroup();
  }
}

let tls;
function certificate() {
  if (tls) return tls;
  const [key, cert] = ['key.pem', 'cert.pem'].map((f) => join(scratch, f));
  const args = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-subj', '/CN=localhost', '-keyout', key, '-out', cert];
  const done = spawnSync('openssl', args, { encoding: 'utf8', timeout: 20_000 });
  if (done.status !== 0) throw new Error(`openssl is needed for a certificate: ${done.error ?? done.stderr}`);
  tls = { TLS_KEY: key, TLS_CERT: cert };
  return tls;
}

async function webSockets() {
  const WebSocket = require('ws');
  const port = await freePort();
  const it = start([process.execPath, service('ws')], { PORT: String(port) });
  try {
    await it.said('ready');
    const clients = 100;
    const closing = wsLoad(WebSocket, port, clients);
    await sleep(1200);
    it.child.kill('SIGTERM');
    const [end, closes] = [await it.ended, await closing];
    const wrong = closes.filter((c) => c.code !== 1012 || c.reason !== 'restart');
    const at = closes.map((c) => c.at).toSorted((a, b) => a - b);
    const spread = at.at(-1) - at[0];
    const extra = wrong.slice(0, 3).map((c) => `closed with ${c.code} ${c.reason}`);
    if (spread < 500) extra.push(`${clients} clients were closed within ${Math.round(spread)} ms: a herd`);
    // 100 clients at 10 ms each: in most of the tenths of a second somebody is closed. A busy machine makes some of them fall together.
    const tenths = new Set(at.map((t) => Math.floor((t - at[0]) / 100)));
    if (tenths.size < 5) extra.push(`all closes fall into ${tenths.size} tenths of a second`);
    return row({ sent: clients, lost: wrong.length, exit: left(end), report: reportOf(it)[0], out: it.out, extra: extra.slice(0, 5) });
  } finally {
    it.killGroup();
  }
}

async function socketIo() {
  const { io } = require('socket.io-client');
  const port = await freePort();
  const it = start([process.execPath, service('socketio')], { PORT: String(port) });
  try {
    await it.said('ready');
    const clients = 40;
    const { closed } = await socketIoLoad(io, port, clients);
    it.child.kill('SIGTERM');
    const [end, closes] = [await it.ended, await closed];
    const wrong = closes.filter((c) => c.reason !== 'transport close' || !c.back);
    const extra = wrong.slice(0, 3).map((c) => `disconnected by ${c.reason}, ${c.back ? 'comes back' : 'stays away'}`);
    return row({ sent: clients, lost: wrong.length, exit: left(end), report: reportOf(it)[0], out: it.out, extra });
  } finally {
    it.killGroup();
  }
}

/** One redis-server of ours, in memory only. */
async function redis(use) {
  const port = await freePort();
  const it = start(['redis-server', '--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', scratch]);
  try {
    while (!/Ready to accept connections/.test(it.out)) {
      await Promise.race([sleep(20), it.ended.then(() => Promise.reject(new Error(`redis-server ended:\n${it.out}`)))]);
    }
    return await use(port);
  } finally {
    it.child.kill('SIGTERM');
    await it.ended;
  }
}

const jobs = () =>
  redis(async (port) => {
    const { Queue } = require('bullmq');
    const connection = { host: '127.0.0.1', port };
    const queue = new Queue('jobs', { connection });
    try {
      const all = 200;
      await queue.addBulk(Array.from({ length: all }, (_, n) => ({ name: 'job', data: { n } })));
      const it = start([process.execPath, service('bullmq')], { REDIS_PORT: String(port) });
      await it.said('ready');
      await sleep(1000);
      it.child.kill('SIGTERM');
      const end = await it.ended;
      const numbers = (word) => [...it.out.matchAll(new RegExp(`^${word} (\\d+)$`, 'gm'))].map((m) => m[1]);
      const [begun, ended] = [numbers('begin'), numbers('end')];
      const counts = await queue.getJobCounts('active', 'failed', 'completed', 'waiting');
      const extra = [];
      if (begun.length < 10 || begun.length === all) extra.push(`${begun.length} jobs begun of ${all}: no load when it stopped`);
      if (new Set(begun).size !== begun.length) extra.push('a job was run twice');
      if (counts.completed !== ended.length || counts.waiting !== all - ended.length) extra.push(`the queue disagrees: ${JSON.stringify(counts)}`);
      const lost = begun.length - ended.length + counts.active + counts.failed;
      return row({ sent: begun.length, lost, exit: left(end), report: reportOf(it)[0], out: it.out, extra });
    } finally {
      await queue.close();
    }
  });

async function inCluster() {
  const worker = join(scratch, 'cluster-worker-%p.json');
  const v = await verify([process.execPath, service('cluster')], { env: { WORKER_REPORT: worker } });
  const reports = readdirSync(scratch).filter((f) => f.startsWith('cluster-worker-')).map((f) => JSON.parse(readFileSync(join(scratch, f), 'utf8')));
  const extra = reports.flatMap((r) => hooksMissing(r).map((m) => `worker ${r.pid}: ${m}`));
  if (reports.length !== 2) extra.push(`${reports.length} reports of workers, not 2`);
  if ((v.out.match(/worker left 0 null/g) ?? []).length !== 2) extra.push('a worker did not leave with 0');
  const got = fromVerify(v);
  return { ...got, problems: [...got.problems, ...extra] };
}

async function pm2() {
  const home = join(scratch, 'pm2');
  const command = [join(here, 'node_modules/.bin/pm2-runtime'), 'start', service('http'), '--no-auto-exit'];
  const v = await verify(command, { env: { PM2_HOME: home } });
  // pm2 sends INT, so the service itself ends by INT (spec 6.4); pm2-runtime answers 0.
  const extra = v.report?.reason.signal === 'INT' ? [] : [`reason ${v.report?.reason.signal}, not INT`];
  const got = fromVerify(v, { signal: 'INT' });
  return { ...got, problems: [...got.problems, ...extra] };
}

function startScript(script) {
  const folder = join(here, `npm-${number++}`);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ private: true, scripts: { start: script } }));
  return folder;
}
let number = 0;

/** npm as the main process, and only it gets TERM: it passes it on to its shell. */
async function npmStart() {
  const cwd = startScript(`exec node ${service('http')}`);
  const v = await verify(['npm', 'start'], { cwd });
  return fromVerify(v);
}

/** What exec is for: with a shell between them the service is told nothing. It cannot be made to work, and the row says so. */
async function npmShell() {
  const v = await verify(['npm', 'start'], { cwd: startScript(`node ${service('http')}`) });
  const stays = v.failures.some((f) => f.includes('left behind'));
  const problems = stays && !/kept/.test(v.out) ? [] : [`the service was told after all: ${v.failures.join('; ')}`, v.out];
  return { sent: v.requests.sent, lost: 'not judged', exit: 'npm at once; the service runs on', kept: 'no: no signal came', hooks: 'none', problems };
}

/** Ctrl-C or `kill -- -group`: npm, its shell and the service get TERM, and npm passes its own on. */
async function npmGroup() {
  const port = await freePort();
  const it = start(['npm', 'start'], { PORT: String(port) }, { cwd: startScript(`node ${service('http')}`) });
  try {
    await it.said('ready');
    process.kill(-it.pid, 'SIGTERM');
    await it.ended;
    const reports = reportOf(it);
    const [report] = reports;
    const extra = reports.length === 1 ? [] : [`${reports.length} reports`];
    const again = report?.triggers.slice(1).filter((t) => t.kind === 'signal') ?? [];
    for (const t of again) if (t.action !== 'duplicate') extra.push(`a second TERM was ${t.action}`);
    return row({ sent: 0, lost: 0, exit: String(report?.exit_code), report, out: it.out, extra });
  } finally {
    it.killGroup();
  }
}

export const npmVersion = spawnSync('npm', ['--version'], { encoding: 'utf8' }).stdout.trim();

export const rows = [
  { name: 'http', server: 'node:http', version: NODE, under: VERIFY, line: 'gs.http(server).listen(8080)', run: verified('http') },
  { name: 'https', server: 'node:https', version: NODE, under: VERIFY, line: 'gs.http(server).listen(8443)', run: () => verified('https', { env: certificate(), scheme: 'https' })() },
  { name: 'http2', server: 'node:http2', version: NODE, under: CLIENTS, line: 'gs.http(server).listen(8443)', run: () => loaded('http2', certificate(), http2Load) },
  { name: 'express', server: 'express', version: versionOf('express'), under: VERIFY, line: 'gs.http(app.listen(8080))', run: verified('express') },
  { name: 'fastify', server: 'fastify', version: versionOf('fastify'), under: VERIFY, line: 'app.register(gs.fastify())', run: verified('fastify') },
  { name: 'koa', server: 'koa', version: versionOf('koa'), under: VERIFY, line: 'gs.http(app.listen(8080))', run: verified('koa') },
  { name: 'nest', server: 'NestJS (Express)', version: versionOf('@nestjs/core'), under: VERIFY, line: 'gs.nest(app)', run: verified('nest') },
  { name: 'cluster', server: 'node:cluster', version: NODE, under: VERIFY, line: 'gs.cluster()', run: inCluster },
  { name: 'ws', server: 'ws', version: versionOf('ws'), under: '100 clients of the test', line: 'gs.ws(sockets, { code: 1012 })', run: webSockets },
  { name: 'socketio', server: 'socket.io', version: versionOf('socket.io'), under: '40 clients of the test', line: 'gs.socketio(io)', run: socketIo },
  { name: 'grpc', server: '@grpc/grpc-js', version: versionOf('@grpc/grpc-js'), under: CLIENTS, line: 'gs.listener(port, { close })', run: () => loaded('grpc', {}, (port) => grpcLoad(require('@grpc/grpc-js'), port)) },
  { name: 'exit-hook', server: 'exit-hook', version: versionOf('exit-hook'), under: VERIFY, line: 'none: its process.exit waits for the plan', run: async () => fromVerify(await verify([process.execPath, service('exit-hook')]), { expected: '143' }) },
  { name: 'bullmq', server: 'bullmq', version: versionOf('bullmq'), under: '200 jobs in redis-server', line: 'gs.bullmq(worker)', run: jobs },
  { name: 'pm2', server: 'pm2-runtime', version: versionOf('pm2'), under: VERIFY, line: 'pm2-runtime start server.mjs', run: pm2 },
  { name: 'npm', server: 'npm start, TERM to npm', version: npmVersion, under: VERIFY, line: '"start": "exec node server.mjs"', run: npmStart },
  { name: 'npm-shell', server: 'npm start, TERM to npm, no exec', version: npmVersion, under: VERIFY, line: '"start": "node server.mjs"', run: npmShell },
  { name: 'npm-group', server: 'npm start, TERM to the group', version: npmVersion, under: 'no load', line: '"start": "node server.mjs"', run: npmGroup },
];
