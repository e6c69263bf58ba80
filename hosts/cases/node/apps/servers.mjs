// One server of the package that is named, as its documentation shows it.
import http from 'node:http';

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const port = Number(process.env.PORT);

async function slow() {
  console.log('begun');
  await wait(1200);
  return 'ok\n';
}

const servers = {
  async hapi() {
    const { default: Hapi } = await import('@hapi/hapi');
    const server = Hapi.server({ port, host: '127.0.0.1' });
    server.route({ method: ['GET', 'POST'], path: '/', handler: () => 'ok\n' });
    server.route({ method: 'GET', path: '/slow', handler: slow });
    adopt(server.listener);
    await server.start();
  },
  async polka() {
    const { default: polka } = await import('polka');
    const app = polka().all('/', (_, response) => response.end('ok\n')).get('/slow', async (_, response) => response.end(await slow()));
    app.listen(port, '127.0.0.1');
    adopt(app.server);
  },
  async h3() {
    const { H3, toNodeHandler } = await import('h3');
    const app = new H3().all('/', () => 'ok\n').get('/slow', slow);
    adopt(http.createServer(toNodeHandler(app))).listen(port, '127.0.0.1');
  },
  async hono() {
    const { Hono } = await import('hono');
    const { serve } = await import('@hono/node-server');
    const app = new Hono().all('/', (c) => c.text('ok\n')).get('/slow', async (c) => c.text(await slow()));
    adopt(serve({ fetch: app.fetch, port, hostname: '127.0.0.1' }));
  },
  async restify() {
    const { default: restify } = await import('restify');
    const server = restify.createServer();
    const ok = (_, response, next) => { response.send('ok\n'); next(); };
    server.get('/', ok);
    server.post('/', ok);
    server.get('/slow', (_, response, next) => { slow().then((text) => { response.send(text); next(); }); });
    adopt(server.server, { ready: '/readyz' });
    server.listen(port, '127.0.0.1', () => process.env.WITH && fetch(`http://127.0.0.1:${port}/readyz`).then((r) => console.log('probe', r.status)));
  },
  async pino() {
    const { default: pino } = await import('pino');
    const log = pino(pino.transport({ target: 'pino/file', options: { destination: `${process.env.OUT}/log` } }));
    adopt(http.createServer((request, response) => { request.resume(); log.info('request'); response.end('ok\n'); })).listen(port, '127.0.0.1');
  },
  async 'signal-exit'() {
    const { onExit } = await import('signal-exit');
    onExit((code, signal) => console.log('own onExit'));
    adopt(plain()).listen(port, '127.0.0.1');
  },
  async 'exit-hook'() {
    const { asyncExitHook } = await import('exit-hook');
    asyncExitHook(async () => { await wait(100); console.log('own exit hook'); }, { wait: 3000 });
    adopt(plain()).listen(port, '127.0.0.1');
  },
  async exiting() {
    const { default: Hapi } = await import('@hapi/hapi');
    const { default: exiting } = await import('exiting');
    const server = Hapi.server({ port, host: '127.0.0.1' });
    server.route({ method: ['GET', 'POST'], path: '/', handler: () => 'ok\n' });
    server.route({ method: 'GET', path: '/slow', handler: slow });
    server.ext('onPostStop', () => console.log('own stop'));
    adopt(server.listener);
    await exiting.createManager(server, { exitTimeout: 6000 }).start();
  },
  async 'close-with-grace'() {
    const { default: closeWithGrace } = await import('close-with-grace');
    const server = adopt(plain()).listen(port, '127.0.0.1');
    closeWithGrace({ delay: 5000 }, async () => {
      await new Promise((resolve) => server.close(resolve));
      console.log('own stop');
    });
  },
};

function plain() {
  return http.createServer(async (request, response) => {
    request.resume();
    response.end(request.url === '/slow' ? await slow() : 'ok\n');
  });
}

let adopt = (server) => server;
if (process.env.WITH) {
  const { install } = await import('graceshut');
  const gs = install({ grace: '8s' });
  gs.hook('flush', () => console.log('hook flush'), { name: 'flush' });
  adopt = (server, options) => gs.http(server, options);
}
await servers[process.argv[2]]();
