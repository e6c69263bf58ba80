// Packs the package and that of its platform, installs the tarballs into an empty folder without network and compiler, and runs the tests against
// what was installed there. `node test/run.mjs [file…]`; the addon has to be built before.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const here = fileURLToPath(new URL('.', import.meta.url));

function run(command, args, options = {}) {
  const done = spawnSync(command, args, { encoding: 'utf8', timeout: 120_000, ...options });
  if (done.error || done.status !== 0) {
    console.error(done.stdout ?? '', done.stderr ?? '', done.error ?? '');
    console.error(`${command} ${args.join(' ')} failed`);
    process.exit(1);
  }
  return done.stdout;
}

if (!existsSync(join(root, 'npm/linux-x64-gnu/graceshut.linux-x64-gnu.node'))) {
  console.error('the addon is not built; run: npm run build');
  process.exit(1);
}
const folder = mkdtempSync(join(tmpdir(), 'graceshut-node-'));
let status = 1;
try {
  const packed = JSON.parse(run('npm', ['pack', '--json', '--pack-destination', folder, '.', './npm/linux-x64-gnu'], { cwd: root }));
  writeFileSync(join(folder, 'package.json'), '{"private":true}\n');
  const env = { ...process.env, npm_config_cache: join(folder, '.npm'), npm_config_registry: 'http://127.0.0.1:9/' };
  run('npm', ['install', '--offline', '--no-audit', '--no-fund', ...packed.map((p) => `./${p.filename}`)], { cwd: folder, env });
  const wanted = process.argv.slice(2);
  const files = wanted.length ? wanted : readdirSync(here).filter((n) => n.endsWith('.test.mjs')).map((n) => join(here, n));
  const test = spawnSync(process.execPath, ['--test', '--test-concurrency=2', ...files], {
    cwd: root,
    stdio: 'inherit',
    timeout: 900_000,
    env: { ...process.env, GRACESHUT_TEST_FOLDER: folder, GRACESHUT_TEST_PACKED: JSON.stringify(packed) },
  });
  status = test.status ?? 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
process.exit(status);
