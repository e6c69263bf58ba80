// The public types against those of the real packages: tsc --strict, as ESM and as CJS.
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';

const use = `
import { createServer } from 'node:http';
import { createServer as createTls } from 'node:https';
import { createServer as createH2, createSecureServer, type Http2Server } from 'node:http2';
import express from 'express';
import Koa from 'koa';
import Fastify, { type FastifyInstance } from 'fastify';
import type { INestApplication } from '@nestjs/common';
import { WebSocketServer } from 'ws';
import { Worker } from 'bullmq';
import { Kafka } from 'kafkajs';
import { Server } from 'socket.io';
import { install, type Graceshut, type ListenerHandle } from 'graceshut';

const gs: Graceshut = install({ grace: '10s' });
gs.http(createServer()).listen(1).setTimeout(1);
gs.http(createTls(), { ready: '/readyz', window: 100, upgraded: (socket, { signal }) => { if (!signal.aborted) socket.end(); } });
const h2: Http2Server = gs.http(createH2());
gs.http(createSecureServer());
gs.http(express().listen(1));
gs.http(new Koa().listen(1));
const app: FastifyInstance = Fastify();
void app.register(gs.fastify({ ready: '/readyz', closeName: 'f' }));
void Fastify({ http2: true }).register(gs.fastify());
declare const nest: INestApplication;
const same: INestApplication = gs.nest(nest);
const sockets: WebSocketServer = gs.ws(new WebSocketServer({ port: 1 }), { code: 1012, spread: 100 });
const worker: Worker = gs.bullmq(new Worker('q', async () => {}));
const consumer = gs.kafkajs(new Kafka({ brokers: [] }).consumer({ groupId: 'g' }), { timeout: '5s' });
void consumer.batches({ topics: ['t'], write: async (messages, { signal }) => { void [messages[0].value, signal.aborted]; }, size: 500 });
void consumer.messages({ topics: ['t'] }).then(async (messages) => { for await (const m of messages) messages.done(m); });
void consumer.pause([{ topic: 't' }]);
gs.cluster({ timeout: '5s' });
gs.http(createServer(), { endStreamsAfter: '2s' });
const handle: ListenerHandle = gs.listener(createServer(), { close: async ({ remaining }) => remaining, refuse: () => {}, name: 'x' });
if (handle.tryEnter()) handle.leave();
const io: Server = gs.socketio(new Server(createServer()), { spread: 100 });
gs.listener(8080, { close: () => {} });
void io;
void [h2, same, sockets, worker];
// @ts-expect-error no server
gs.http({});
// @ts-expect-error no such option
gs.http(createServer(), { readyz: '/' });
// @ts-expect-error a server, not a set of clients
gs.ws(createServer());
`;
const files = ['types.mts', 'types.cts'].map((name) => `check-${name}`);
for (const file of files) writeFileSync(file, use);
const options = ['--noEmit', '--strict', '--skipLibCheck', '--esModuleInterop', '--module', 'nodenext', '--target', 'es2022', '--lib', 'esnext,dom', '--types', 'node'];
const done = spawnSync(process.execPath, ['node_modules/typescript/bin/tsc', ...options, ...files], { encoding: 'utf8', timeout: 120_000 });
console.log(done.status === 0 ? 'ok   types against the real packages, ESM and CJS' : done.stdout);
process.exitCode = done.status ?? 1;
