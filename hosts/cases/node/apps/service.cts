// The same service, as a CommonJS module in TypeScript.
import http = require('node:http');

const server = http.createServer((request, response) => {
  request.resume();
  if (request.url !== '/slow') return void response.end('ok\n');
  console.log('begun');
  setTimeout(() => response.end('ok\n'), 1200);
});
if (process.env.WITH) {
  const { install } = require('graceshut');
  const gs = install({ grace: '8s' });
  gs.http(server);
  gs.hook('flush', () => console.log('hook flush'), { name: 'flush' });
} else {
  process.on('SIGTERM', () => server.close());
}
server.listen(Number(process.env.PORT), '127.0.0.1');
