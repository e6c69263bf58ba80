// Child processes for the tests: a script in the folder where the packed package is installed. It prints `ready`, the
// parent acts, then reads its output, its report and its status. Every wait is bounded; a child that outlives it is killed.
import { spawn } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after } from 'node:test';

export const folder = process.env.GRACESHUT_TEST_FOLDER;
if (!folder) throw new Error('run the tests with: npm test (they need the packed package)');

const LIMIT_MS = 30_000;
const children = new Set();
let number = 0;

after(() => {
  for (const child of children) child.kill('SIGKILL');
});

/** Helpers every script has. */
const PRELUDE_CJS = `
const graceshut = require('graceshut');
const { install, current, GraceshutError } = graceshut;
`;
const COMMON = `
const say = (...words) => require_fs.writeSync(1, words.join(' ') + '\\n');
const sleep = (ms, signal) => new Promise((done, fail) => {
  const t = setTimeout(done, ms);
  signal?.addEventListener('abort', () => { clearTimeout(t); fail(signal.reason); });
});
const stay = () => setInterval(() => {}, 1000);
const block = (ms) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
const tell = (f) => { try { say('returned', String(f())); } catch (e) { say(e.constructor.name, e.kind, e.code, '|', e.message); } };
`;

/** Starts `script`. Options: esm, bare (no prelude), env, args, toml (a graceshut.toml beside it), nodeArgs. */
export function start(script, { esm = false, bare = false, env = {}, args = [], nodeArgs = [], toml, stdio } = {}) {
  const cwd = mkdtempSync(join(folder, 'run-'));
  const file = join(cwd, `script-${number++}.${esm ? 'mjs' : 'cjs'}`);
  const fs = esm ? `import require_fs from 'node:fs';` : `const require_fs = require('node:fs');`;
  writeFileSync(file, bare ? script : `${esm ? '' : PRELUDE_CJS}${fs}${COMMON}${script}`);
  if (toml !== undefined) writeFileSync(join(cwd, 'graceshut.toml'), toml);
  const clean = Object.fromEntries(Object.entries(process.env).filter(([k]) => !/^(GRACESHUT_|NODE_|KUBERNETES|NOTIFY_SOCKET)/.test(k)));
  const child = spawn(process.execPath, [...nodeArgs, file, ...args], {
    cwd,
    stdio: stdio ?? ['ignore', 'pipe', 'pipe'],
    env: { ...clean, GRACESHUT_REPORT: 'stderr:json', ...env },
  });
  children.add(child);
  const it = { child, pid: child.pid, stdout: '', stderr: '', cwd };
  const waiting = [];
  const look = () => {
    for (const w of waiting.slice()) if (it.stdout.includes(w.text)) w.done();
  };
  child.stdout?.setEncoding('utf8').on('data', (d) => {
    it.stdout += d;
    look();
  });
  child.stderr?.setEncoding('utf8').on('data', (d) => (it.stderr += d));
  const timer = setTimeout(() => {
    it.timedOut = true;
    child.kill('SIGKILL');
  }, LIMIT_MS);
  it.ended = new Promise((done) => {
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      children.delete(child);
      it.code = code;
      it.signal = signal;
      it.at = performance.now();
      done(it);
    });
  });
  /** Waits until the child has printed `text`. */
  it.said = (text = 'ready') =>
    new Promise((done, fail) => {
      const w = { text: `${text}\n`, done: () => (waiting.splice(waiting.indexOf(w), 1), done(it)) };
      waiting.push(w);
      look();
      it.ended.then(() => fail(new Error(`ended before it said "${text}": ${describe(it)}`)));
    });
  it.kill = (signal = 'SIGTERM') => {
    it.killedAt = performance.now();
    child.kill(signal);
    return it;
  };
  return it;
}

export const describe = (it) => `code ${it.code} signal ${it.signal}${it.timedOut ? ' TIMED OUT' : ''}\n${it.stdout}\n${it.stderr}`;

/** Starts, waits for `ready`, sends `signal`, waits for the end. */
export async function signalled(script, { signal = 'SIGTERM', ...options } = {}) {
  const it = start(script, options);
  await it.said();
  it.kill(signal);
  return finish(it);
}

/** Starts and waits for the end. */
export const ended = (script, options) => finish(start(script, options));

export async function finish(it) {
  await it.ended;
  it.lines = it.stdout.split('\n').filter((l) => l && l !== 'ready');
  const json = it.stderr.split('\n').findLast((l) => l.startsWith('{"graceshut"'));
  it.report = json ? JSON.parse(json) : null;
  it.hook = (name) => it.report?.phases.flatMap((p) => p.hooks.map((h) => ({ ...h, phase: p.name }))).find((h) => h.name === name);
  it.status = it.signal ?? it.code;
  return it;
}
