// WebAssembly hooks. What they mean is tested in wasm/ and in every language by conformance; here: Node's way to say it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { describe, ended, signalled } from './child.mjs';

// Wants http granted, and fails in words without its configuration.
const DEREGISTER = new URL('../../examples/hooks/deregister.wasm', import.meta.url);
const file = JSON.stringify(fileURLToPath(DEREGISTER));
const env = { GRACESHUT_WASM_CACHE: 'off' };

test('what is refused says what to do', async () => {
  const calls = [
    [`gs.wasm('flush')`, 'null', /file/],
    [`gs.wasm('flush', 7)`, 'bad_value', /string/],
    [`gs.wasm('flush', new URL('http://x/y.wasm'))`, 'bad_value', /string/],
    [`gs.wasm('flush', ${file})`, 'bad_value', /http = \["PUT 127\.0\.0\.1:8500"\]/],
    [`gs.wasm('flush', '/nowhere.wasm')`, 'os', /nowhere\.wasm/],
    [`gs.wasm('flush', __filename)`, 'bad_value', /script/],
    [`gs.wasm('flush', ${file}, [])`, 'bad_value', /an array/],
    [`gs.wasm('flush', ${file}, { path: 'x' })`, 'bad_config', /path/],
    [`gs.wasm('flush', ${file}, { dir: {} })`, 'bad_config', /dir/],
    [`gs.wasm('flush', ${file}, { memory: '16MB' })`, 'bad_config', /16MiB/],
    [`gs.wasm('flush', ${file}, { http: ['127.0.0.1:80'] })`, 'bad_config', /PUT 127/],
    [`gs.wasm('flush', ${file}, { http: ['PUT a:1'], timeout: -1 })`, 'bad_time', /timeout/],
    [`gs.wasm('flsh', ${file}, { http: ['PUT a:1'] })`, 'unknown_phase', /flsh/],
  ];
  const it = await ended(`const gs = install({ exit: 'manual' });\n${calls.map(([c]) => `tell(() => ${c});`).join('\n')}\ngs.uninstall();`, { env });
  assert.equal(it.status, 0, describe(it));
  calls.forEach(([call, kind, words], i) => {
    assert.ok(it.lines[i].startsWith(`GraceshutError ${kind} `), `${call}: ${it.lines[i]}`);
    assert.match(it.lines[i], words, call);
  });
});

test('it runs with what it was given, also while the loop is blocked', async () => {
  const it = await signalled(
    `
    const gs = install({ grace: '20s' });
    const { pathToFileURL } = require('node:url');
    const some = { http: ['PUT 127.0.0.1:9'], env: { A: '1' }, args: ['-v'], dirs: { '/': '/tmp' }, memory: 1 << 20 };
    gs.wasm('announce', pathToFileURL(${file}), { ...some, timeout: 4000 });
    gs.wasm('announce', ${file}, { ...some, name: 'other', after: 'deregister', config: { url: 'nonsense' }, optional: true });
    gs.wasm('close', ${file}, { ...some, name: 'removed' }).remove();
    stay();
    say('ready');
    setTimeout(() => block(3000), 50);`,
    { env },
  );
  assert.equal(it.status, 1, describe(it));
  const hooks = Object.fromEntries(it.report.phases.flatMap((p) => p.hooks).filter((h) => h.kind === 'wasm').map((h) => [h.name, h]));
  assert.deepEqual(Object.keys(hooks).sort(), ['deregister', 'other']);
  assert.deepEqual([hooks.deregister.outcome, hooks.deregister.message], ['failed', 'returned 2: config.url is missing']);
  assert.equal(hooks.other.outcome, 'failed');
  assert.doesNotMatch(hooks.other.message, /missing/);
});
