'use strict';
// node:cluster. What stops a container signals its main process only: the primary tells its workers, and waits for them.

const cluster = require('node:cluster');
const { checked } = require('./options.js');

const LOOK_MS = 20;

const alive = () => Object.values(cluster.workers ?? {}).filter((worker) => worker && !worker.isDead());

/** In a worker nothing is to be done: it installs, and stops as any process does. */
function inCluster(gs, options) {
  const { timeout } = checked(options, 'cluster', ['timeout']);
  if (!cluster.isPrimary) return;
  const told = new Set();
  const tell = () => {
    for (const worker of alive()) {
      if (told.has(worker.id)) continue;
      told.add(worker.id);
      // Not worker.kill(): that disconnects, which closes its listeners first. A second TERM close by (a whole process group
      // was signalled) is a duplicate to the worker (spec 7.1).
      worker.process.kill('SIGTERM');
    }
  };
  gs.hook('announce', tell, { name: 'cluster' });
  gs.hook(
    'drain',
    async ({ signal }) => {
      while (alive().length > 0) {
        signal.throwIfAborted();
        tell(); // those forked meanwhile
        await new Promise((done) => setTimeout(done, LOOK_MS));
      }
    },
    { name: 'cluster', timeout },
  );
}

module.exports = { inCluster };
