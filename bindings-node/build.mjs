// Builds the addon and puts it, the licences and the table of error kinds where the package wants them.
//   node build.mjs [--debug]        honours CARGO_TARGET_DIR and CARGO_BUILD_TARGET
import { spawnSync } from 'node:child_process';
import { copyFileSync, renameSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const here = (name) => fileURLToPath(new URL(name, import.meta.url));
const addon = here('graceshut.linux-x64-gnu.node');
const args = ['build', '-p', 'graceshut-node', '--message-format=json-render-diagnostics'];
if (!process.argv.includes('--debug')) args.push('--release');

const cargo = spawnSync('cargo', args, { cwd: here('.'), stdio: ['ignore', 'pipe', 'inherit'], encoding: 'utf8', maxBuffer: 1 << 28 });
if (cargo.error) {
  console.error(`cargo cannot be run (${cargo.error.message}); install Rust from https://rustup.rs`);
  process.exit(1);
}
if (cargo.status !== 0) process.exit(cargo.status ?? 1);

const built = cargo.stdout
  .split('\n')
  .filter((line) => line.startsWith('{'))
  .map((line) => JSON.parse(line))
  .filter((m) => m.reason === 'compiler-artifact' && m.target.name === 'graceshut_node')
  .flatMap((m) => m.filenames)
  .find((name) => name.endsWith('.so'));
if (!built) {
  console.error('cargo built no libgraceshut_node.so');
  process.exit(1);
}
// Renamed into place: a process that has the old one mapped keeps it.
copyFileSync(built, `${addon}.new`);
renameSync(`${addon}.new`, addon);
for (const licence of ['LICENSE-MIT', 'LICENSE-APACHE']) copyFileSync(here(`../${licence}`), here(licence));
const kinds = JSON.parse(createRequire(import.meta.url)(addon).errorKinds());
writeFileSync(here('error-kinds.json'), `${JSON.stringify(kinds, null, 2)}\n`);
console.log(`${built} -> ${addon}`);
