import 'reflect-metadata';
import { Controller, Get, Injectable, Module, Post } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { gs, work, ready, PORT, HOST } from './common.mjs';

// Decorators as calls: no compiler between the source and this test.
class Work {
  async work() {
    await work();
    return 'done\n';
  }
}
Controller()(Work);
for (const [name, route] of [['get', Get], ['post', Post]]) {
  Work.prototype[name] = Work.prototype.work;
  route('work')(Work.prototype, name, Object.getOwnPropertyDescriptor(Work.prototype, name));
}
class Pool {
  onApplicationShutdown(signal) {
    console.log('onApplicationShutdown', signal, 'in', gs.phase);
  }
}
Injectable()(Pool);
class App {}
Module({ controllers: [Work], providers: [Pool] })(App);

const app = await NestFactory.create(App, { logger: ['error', 'warn'] });
gs.nest(app, { ready: '/readyz' });
await app.listen(PORT, HOST);
ready();
