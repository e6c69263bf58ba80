import { feathers } from '@feathersjs/feathers';
import express, { json, rest } from '@feathersjs/express';
import { gs, work, ready, PORT, HOST } from './common.mjs';

class Work {
  async find() {
    await work();
    return 'done';
  }
  async create() {
    return this.find();
  }
}
const app = express(feathers()).use(json()).configure(rest());
app.use('work', new Work());
gs.http(await app.listen(PORT, HOST), { ready: '/readyz' });
ready();
