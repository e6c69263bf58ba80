// A server without an adapter: grpc-js shows neither its listener nor its sockets. Its port, its own stop, the gate in its handler.
import grpc from '@grpc/grpc-js';
import { gs, work, ready, PORT, HOST } from './common.mjs';

const text = { serialize: (value) => Buffer.from(value), deserialize: (bytes) => bytes.toString() };
export const service = { work: { path: '/demo.Demo/Work', requestStream: false, responseStream: false, requestSerialize: text.serialize, requestDeserialize: text.deserialize, responseSerialize: text.serialize, responseDeserialize: text.deserialize } };

const server = new grpc.Server();
const calls = gs.listener(PORT, {
  name: 'grpc',
  close: ({ signal }) =>
    new Promise((done) => {
      signal.addEventListener('abort', () => server.forceShutdown());
      server.tryShutdown(done);
    }),
});
server.addService(service, {
  work: async (call, answer) => {
    if (!calls.tryEnter()) return answer({ code: grpc.status.UNAVAILABLE, details: 'draining' });
    try {
      await work();
      answer(null, 'done');
    } finally {
      calls.leave();
    }
  },
});
server.bindAsync(`${HOST}:${PORT}`, grpc.ServerCredentials.createInsecure(), (error) => {
  if (error) throw error;
  ready();
});
