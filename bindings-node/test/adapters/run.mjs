// Runs a service for each adapter, against the packages pinned in package.json, and writes what came of it: one JSON file, and the
// table in README.md (with UPDATE=1; otherwise it is compared). Started by `make adapters-node`, in a folder with the packages.
//   GRACESHUT=path node run.mjs OUT.json README.md [name…]
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { NODE, npmVersion, rows } from './rows.mjs';

const [out, readme, ...wanted] = process.argv.slice(2);
const chosen = wanted.length ? rows.filter((r) => wanted.includes(r.name)) : rows;
const results = [];
let failed = 0;
for (const row of chosen) {
  const began = performance.now();
  const got = await row.run().catch((error) => ({ problems: [String(error.stack ?? error)] }));
  const result = { server: row.server, version: row.version, under: row.under, machine: row.version === NODE || row.version === npmVersion, ...got, line: row.line, seconds: Math.round((performance.now() - began) / 100) / 10 };
  results.push(result);
  failed += result.problems.length > 0 ? 1 : 0;
  console.log(`${result.problems.length ? 'FAIL' : 'ok  '} ${row.server} ${row.version}  lost ${result.lost} of ${result.sent}, exit ${result.exit}, ${result.seconds} s`);
  for (const problem of result.problems) console.log(`     ${problem}`);
}
writeFileSync(out, `${JSON.stringify({ node: process.version, rows: results }, null, 2)}\n`);

const cell = (text) => String(text).replaceAll('|', '\\|');
const table = [
  '| server | tested at | under | other listeners and ours called | hooks run | requests lost | exit | integration |',
  '|---|---|---|---|---|---|---|---|',
  ...results.map((r) => `| ${[r.server, r.version, r.under, r.kept, r.hooks, r.lost, r.exit, `\`${r.line}\``].map(cell).join(' | ')} |`),
].join('\n');
if (chosen === rows && failed === 0) {
  const block = /(<!-- adapters: written by `make adapters-node UPDATE=1` -->\n)[^]*?(\n<!-- adapters end -->)/;
  const text = readFileSync(readme, 'utf8');
  assert.match(text, block);
  if (process.env.UPDATE === '1') writeFileSync(readme, text.replace(block, (_, head, tail) => head + table + tail));
  else {
    const written = block.exec(text)[0].split('\n').slice(1, -1);
    // Node and npm are the machine's; their versions in the README are those of the run that wrote it.
    const blind = (line, i) => (i >= 2 && results[i - 2].machine ? line.split(' | ').toSpliced(1, 1).join(' | ') : line);
    assert.deepEqual(written.map(blind), table.split('\n').map(blind), 'README.md: not the rows of this run; make adapters-node UPDATE=1');
  }
}
console.log(`${results.length} servers, ${failed} failed`);
process.exitCode = failed ? 1 : 0;
