// The table of servers in README.md is written by a run (make adapters-node); here: that it is the table of these rows and versions.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

const read = (name) => readFileSync(new URL(`../${name}`, import.meta.url), 'utf8');

test('the table of servers has a row for each that is run, at the version that is pinned, and none lost', () => {
  const block = /<!-- adapters: [^\n]*-->\n([^]*?)\n<!-- adapters end -->/.exec(read('README.md'))[1];
  const rows = block.split('\n').slice(2).map((line) => line.split(' | ').map((cell) => cell.replace(/^\| | \|$/g, '')));
  const run = [...read('test/adapters/rows.mjs').matchAll(/^  \{ name: '[\w-]+', server: '([^']+)'/gm)].map((m) => m[1]);
  assert.ok(run.length >= 14);
  assert.deepEqual(rows.map(([server]) => server), run, 'make adapters-node UPDATE=1');
  const pinned = JSON.parse(read('test/adapters/package.json')).dependencies;
  const packages = { 'NestJS (Express)': '@nestjs/core', 'pm2-runtime': 'pm2' };
  let compared = 0;
  for (const [server, version, , kept, hooks, lost] of rows) {
    const wanted = pinned[packages[server] ?? server];
    if (wanted) {
      assert.equal(version, wanted, server);
      compared++;
    }
    if (server.includes('no exec')) continue; // the row that says so
    assert.deepEqual([server, kept, hooks, lost], [server, 'yes', 'all', '0']);
  }
  assert.ok(compared >= 7, `${compared} versions were compared`);
});

test('every server and consumer of the types is in the README', () => {
  const methods = [...read('index.d.ts').matchAll(/^  (http|listener|ws|socketio|fastify|nest|bullmq|kafkajs|cluster)[<(]/gm)].map((m) => m[1]);
  assert.equal(methods.length, 9);
  for (const name of methods) assert.match(read('README.md'), new RegExp(`gs\\.${name}\\(`));
});
