// The primary and two workers, each with an install of its own.
import cluster from 'node:cluster';
import { createServer } from 'node:http';
import { gs, work, ready, PORT, HOST } from './common.mjs';

gs.cluster();
if (cluster.isPrimary) {
  const { GRACESHUT_REPORT: _, ...env } = process.env;
  let listening = 0;
  for (let i = 0; i < 2; i++) {
    cluster.fork({ ...env, GRACESHUT_REPORT: `${process.env.WORKER_REPORT ?? '/dev/null'}` }).on('exit', (code, signal) => console.log('worker left', code, signal));
  }
  cluster.on('listening', () => ++listening === 2 && ready());
} else {
  const server = createServer(async (request, response) => {
    await work();
    response.end('done\n');
  });
  gs.http(server, { ready: '/readyz' }).listen(PORT, HOST);
}
