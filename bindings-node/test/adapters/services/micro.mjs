import { createServer } from 'node:http';
import { serve } from 'micro';
import { gs, work, ready, PORT, HOST } from './common.mjs';

const server = createServer(
  serve(async () => {
    await work();
    return 'done\n';
  }),
);
gs.http(server, { ready: '/readyz' }).listen(PORT, HOST, ready);
