'use strict';
// node:cluster. What stops a container signals its main process only: the primary tells its workers, and waits for them. It owns their
// listeners, and says when they are closed (primary.js).

const cluster = require('node:cluster');
const { CLOSED, checked } = require('./options.js');
const { Doors } = require('./primary.js');

const LOOK_MS = 20;

const alive = () => Object.values(cluster.workers ?? {}).filter((worker) => worker && !worker.isDead());

/** In a worker nothing is to be done: it installs, and stops as any process does. */
function inCluster(gs, native, options) {
  const { timeout } = checked(options, 'cluster', ['timeout']);
  if (!cluster.isPrimary) return;
  const doors = new Doors(gs, native);
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
  // Programs fork anew for each worker that exits. Those forked since the stop began are told at once, and not waited for: each of them
  // that leaves makes the program fork another.
  let waitedFor;
  const begin = () => {
    if (waitedFor) return;
    waitedFor = alive();
    cluster.on('fork', tell);
    gs.once(CLOSED, () => cluster.off('fork', tell));
    tell();
  };
  gs.hook('announce', begin, { name: 'cluster' });
  gs.hook(
    'drain',
    async (context) => {
      begin();
      doors.remaining = () => context.remaining;
      while (waitedFor.some((worker) => !worker.isDead())) {
        context.signal.throwIfAborted();
        await new Promise((done) => setTimeout(done, LOOK_MS));
      }
    },
    { name: 'cluster', timeout },
  );
}

module.exports = { inCluster };
