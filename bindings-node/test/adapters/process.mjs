// Services as children, and `graceshut verify` over them. Every wait has a limit; what outlives it is killed, group and all.
import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const LIMIT_MS = 40_000;
export const HOOKS = ['deregister', 'buffers', 'pool', 'telemetry'];

export const scratch = mkdtempSync(join(tmpdir(), 'graceshut-adapters-'));
process.on('exit', () => rmSync(scratch, { recursive: true, force: true }));

/** A port that is free now. */
export const freePort = () =>
  new Promise((done, fail) => {
    const server = createServer().on('error', fail);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => done(port));
    });
  });

let number = 0;

/** Starts a command in a group of its own; `said(text)` waits for a line, `ended` for its end. */
export function start(command, env = {}, { cwd } = {}) {
  const report = join(scratch, `report-${number++}-%p.json`);
  const clean = Object.fromEntries(Object.entries(process.env).filter(([k]) => !/^(GRACESHUT_|NODE_|npm_|KUBERNETES|NOTIFY_SOCKET)/.test(k)));
  const child = spawn(command[0], command.slice(1), {
    cwd,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...clean, GRACESHUT_REPORT: report, ...env },
  });
  const it = { child, pid: child.pid, out: '', report };
  const waiting = new Set();
  const hear = (text) => {
    it.out += text;
    for (const look of waiting) look();
  };
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', hear);
  const killGroup = () => {
    try {
      process.kill(-child.pid, 'SIGKILL');
    } catch {
      // Nobody is left.
    }
  };
  const timer = setTimeout(killGroup, LIMIT_MS);
  it.ended = new Promise((done, fail) => {
    child.on('error', fail);
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      done({ code, signal });
    });
  });
  it.killGroup = killGroup;
  it.said = (text) =>
    new Promise((done, fail) => {
      const look = () => it.out.split('\n').includes(text) && (waiting.delete(look), done());
      waiting.add(look);
      look();
      it.ended.then(() => fail(new Error(`${command.join(' ')} ended before it said ${text}:\n${it.out}`)));
    });
  return it;
}

/** Runs a service under `graceshut verify`: its verdict, with the service's report and what it printed. */
export async function verify(command, { env = {}, cwd, scheme = 'http', ready = '/readyz', load = '/work', json = join(scratch, `verify-${number++}.json`) } = {}) {
  const port = await freePort();
  const url = (path) => `${scheme}://127.0.0.1:${port}${path}`;
  const args = ['verify', '--ready', url(ready), '--load', url(load), '--after', '1s', '--grace', '12s', '--json', json, '--', ...command];
  const { GRACESHUT_REPORT: _, ...rest } = env;
  const it = start([process.env.GRACESHUT, ...args], { PORT: String(port), GRACESHUT_REPORT: undefined, ...rest }, { cwd });
  await it.ended;
  const verdict = JSON.parse(readFileSync(json, 'utf8') || 'null');
  if (!verdict) throw new Error(`no verdict:\n${it.out}`);
  return { ...verdict, out: it.out };
}

/** The outcomes of our four hooks in a report; empty when all are ok. */
export function hooksMissing(report) {
  const ran = new Map((report?.phases ?? []).flatMap((p) => p.hooks.map((h) => [h.name, h.outcome])));
  return HOOKS.filter((name) => ran.get(name) !== 'ok').map((name) => `${name} ${ran.get(name) ?? 'not run'}`);
}

/** Whether the listeners set before and after install were both called, and the kernel still has our handler. */
export function signalsKept(out, report, signal = 'TERM') {
  const called = ['before', 'after'].every((which) => new RegExp(`^(\\| )?kept ${which}$`, 'm').test(out));
  return called && report?.handler.find((h) => h.signal === signal)?.state === 'ours';
}
