import grpc from '@grpc/grpc-js';

const bytes = (value) => value;
const shape = { path: '/case.Case/Slow', requestStream: false, responseStream: false, requestSerialize: bytes, requestDeserialize: bytes, responseSerialize: bytes, responseDeserialize: bytes };
const server = new grpc.Server();
server.addService({ Slow: shape }, { Slow: (call, done) => setTimeout(() => done(null, Buffer.alloc(0)), 1000) });
const stop = (signal) => new Promise((resolve) => {
  signal?.addEventListener('abort', () => server.forceShutdown());
  server.tryShutdown(resolve);
});
if (process.env.WITH) {
  const { install } = await import('graceshut');
  const gs = install({ grace: '8s' });
  gs.hook('drain', ({ signal }) => stop(signal), { name: 'grpc' });
  gs.hook('flush', () => console.log('hook flush'), { name: 'flush' });
} else {
  process.on('SIGTERM', () => stop());
}
server.bindAsync(`127.0.0.1:${process.env.PORT}`, grpc.ServerCredentials.createInsecure(), () => console.log('ready'));
