// Acknowledged consumption with KafkaJS over a broker in memory: whatever comes in whatever order, nothing is committed that was
// not done. With a real broker: `make test-kafka`.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { Broker, Consumer, Phases, random, sleep } from './kafkajs-broker.mjs';

const { kafkajs } = createRequire(import.meta.url)('../lib/adapters/kafkajs.js');

const SEEDS = Number(process.env.GS_KAFKA_SEEDS ?? 30);

/** A process: a consumer in the care of a graceshut of its own. */
class Program {
  constructor(broker, name) {
    this.broker = broker;
    this.consumer = new Consumer(broker, name);
    this.gs = new Phases();
    this.helper = kafkajs(this.gs, this.consumer);
  }

  /** Resolves when it has joined. */
  async batches(write, options = {}) {
    this.over = this.helper.batches({ topics: ['t'], size: 10, seconds: 0.02, retry: 0.02, ...options, write });
    this.over.catch(() => {});
    await Promise.race([this.over, new Promise((joined) => this.consumer.once(this.consumer.events.GROUP_JOIN, joined))]);
  }

  /** The loop of a program that handles one after another and says that it is done. */
  async messages(handle) {
    const messages = await this.helper.messages({ topics: ['t'], seconds: 0.02 });
    this.loop = (async () => {
      for await (const message of messages) {
        if (await handle(message)) messages.done(message);
      }
    })();
  }
}

/** Waits until `look` says so, 15 s at most. */
async function until(look) {
  const end = performance.now() + 15_000;
  while (!look()) {
    assert.ok(performance.now() < end, `still not: ${look}`);
    await sleep(2);
  }
}

/** A write that takes its time and, in a world that is not whole, fails before or after it has written. */
function writer(broker, program, { chance, below }, whole) {
  return async (messages) => {
    await sleep(below(8));
    if (!whole && chance(0.15)) throw new Error('the store is down');
    if (!whole && chance(0.05)) await sleep(60);
    if (program.consumer.dead) return new Promise(() => {});
    broker.store(messages);
    if (!whole && chance(0.1)) throw new Error('written, but the answer was lost');
    return undefined;
  };
}

/** Starts, stops and kills programs at random, then lets one come to the end. */
async function life(seed, whole, form) {
  const broker = new Broker(4, seed);
  const dice = random(seed * 7919 + 1);
  const live = new Set();
  const ends = [];
  let number = 0;
  const start = async () => {
    const program = new Program(broker, `p${number++}`);
    live.add(program);
    const write = writer(broker, program, random(seed * 31 + number), whole);
    const begun = form === 'batches' ? program.batches(write) : program.messages((m) => write([m]).then(() => true, () => whole));
    await Promise.race([begun, program.consumer.killed]);
  };
  await start();
  for (let step = 0; step < 10; step++) {
    broker.produce(dice.below(60));
    await sleep(dice.below(25));
    const some = [...live][dice.below(live.size || 1)];
    const what = dice.below(whole ? 2 : 4);
    if (what === 0 && live.size < 3) ends.push(start());
    else if (what === 1 && some && live.size > 1) {
      live.delete(some);
      const limits = whole ? undefined : { drain: dice.below(40), flush: dice.below(40), close: 2000 };
      ends.push(some.gs.stop(limits));
    } else if (what === 2 && some && live.size > 1) {
      live.delete(some);
      some.consumer.kill();
    } else if (what === 3 && some && dice.chance(0.5)) {
      // Too late with its heartbeats.
      broker.leave(some.consumer.id);
    }
  }
  const outcomes = (await Promise.all(ends)).filter(Boolean);
  const last = new Program(broker, 'last');
  if (form === 'batches') await last.batches(async (messages) => broker.store(messages));
  else await last.messages(async (m) => (broker.store([m]), true));
  for (const program of live) outcomes.push(await program.gs.stop());
  await until(() => broker.missing === 0);
  outcomes.push(await last.gs.stop());
  return { broker, outcomes };
}

for (const form of ['batches', 'messages']) {
  test(`${form}: nothing is committed that was not done, and nothing is left out, whatever happens`, async () => {
    await Promise.all(
      Array.from({ length: SEEDS }, async (_, seed) => {
        const { broker } = await life(seed, false, form);
        assert.deepEqual(broker.wrong, [], `seed ${seed}`);
      }),
    );
  });
}

test('batches: where nothing fails, restarts and rebalances write nothing twice and end ok', async () => {
  await Promise.all(
    Array.from({ length: SEEDS }, async (_, seed) => {
      const { broker, outcomes } = await life(seed, true, 'batches');
      assert.deepEqual(broker.wrong, [], `seed ${seed}`);
      if (!broker.unheard) assert.equal(broker.duplicates, 0, `seed ${seed}`);
      for (const o of outcomes) assert.deepEqual(o, { drain: 'ok', flush: 'ok', close: 'ok' }, `seed ${seed}`);
      assert.deepEqual(broker.committed, broker.ends, `seed ${seed}`);
    }),
  );
});

test('batches: "or so many seconds" needs no further message', async () => {
  const broker = new Broker(1, 1);
  const program = new Program(broker, 'p');
  await program.batches(async (messages) => broker.store(messages), { size: 500, seconds: 0.05 });
  broker.produce(3);
  await until(() => broker.committed[0] === 3);
  await program.gs.stop();
});

test('batches: without retry a write that fails ends it: the group is left, the error is the program’s', async () => {
  const broker = new Broker(1, 1);
  const program = new Program(broker, 'p');
  broker.produce(3);
  await program.batches(async () => Promise.reject(new Error('the store is down')), { retry: undefined });
  await assert.rejects(program.over, /the store is down/);
  assert.deepEqual(broker.committed, [0]);
  assert.equal(broker.members.size, 0);
  assert.deepEqual(await program.gs.stop(), { drain: 'ok', flush: 'ok', close: 'ok' });
});

test('batches: a write that is stuck is never committed, the hooks say so, and the group is left', async () => {
  const broker = new Broker(1, 1);
  const program = new Program(broker, 'p');
  let writes = 0;
  await program.batches(() => (writes++, new Promise(() => {})));
  broker.produce(40);
  await until(() => writes === 1);
  const outcomes = await program.gs.stop({ drain: 30, flush: 30, close: 1000 });
  assert.deepEqual(outcomes, { drain: 'a write is still under way', flush: 'a write is still under way', close: 'ok' });
  assert.deepEqual(broker.committed, [0]);
  assert.equal(broker.members.size, 0);
});

test('batches: the write of flush hears of the soft deadline', async () => {
  const broker = new Broker(1, 1);
  const program = new Program(broker, 'p');
  let heard = false;
  await program.batches(
    (_, { signal }) =>
      new Promise((_done, fail) => {
        signal.addEventListener('abort', () => ((heard = true), fail(signal.reason)));
      }),
    { seconds: 10 },
  );
  broker.produce(3);
  await until(() => program.consumer.resolved.get(0) === 3);
  await program.gs.stop({ drain: 30, flush: 30, close: 1000 });
  assert.ok(heard);
  assert.deepEqual(broker.committed, [0]);
});

test('messages: out of order, only what has all before it done is committed', async () => {
  const broker = new Broker(1, 1);
  const program = new Program(broker, 'p');
  broker.produce(6);
  const messages = await program.helper.messages({ topics: ['t'], seconds: 0.02 });
  const seen = [];
  const loop = (async () => {
    for await (const m of messages) {
      seen.push(m);
      broker.store([m]);
    }
  })();
  await until(() => seen.length === 6);
  for (const i of [0, 1, 4, 5]) messages.done(seen[i]);
  assert.throws(() => messages.done({}), /gave out/);
  await until(() => broker.committed[0] === 2);
  const stopping = program.gs.stop();
  await loop;
  // Done by the program in its own flush or later: in time for close.
  messages.done(seen[2]);
  await stopping;
  assert.equal(broker.committed[0], 3);
});

test('messages: a loop that does not come back is told, and its message is not committed', async () => {
  const broker = new Broker(1, 1);
  const program = new Program(broker, 'p');
  broker.produce(1);
  let came = false;
  await program.messages(() => ((came = true), new Promise(() => {})));
  await until(() => came);
  const outcomes = await program.gs.stop({ drain: 30, flush: 30, close: 1000 });
  assert.match(outcomes.drain, /has not come back/);
  assert.deepEqual(broker.committed, [0]);
  assert.equal(broker.members.size, 0);
});

test('an idle topic: drain and flush have nothing to wait for', async () => {
  const broker = new Broker(1, 1);
  const program = new Program(broker, 'p');
  program.consumer.maxWait = 1500;
  await program.batches(async () => {});
  await sleep(10);
  const begun = performance.now();
  for (const phase of ['drain', 'flush']) {
    for (const { f } of program.gs.hooks.filter((h) => h.phase === phase)) await f({ signal: new AbortController().signal });
  }
  assert.ok(performance.now() - begun < 1000);
  await program.gs.stop();
});

test('bad values are named', async () => {
  const program = new Program(new Broker(1, 1), 'p');
  const { helper } = program;
  const write = async () => {};
  await assert.rejects(helper.batches({ topics: ['t'] }), /write has to be a function/);
  await assert.rejects(helper.batches({ topics: [], write }), /topics has to be/);
  await assert.rejects(helper.batches({ topics: ['t'], write, size: 0 }), /size has to be a whole number/);
  await assert.rejects(helper.batches({ topics: ['t'], write, sizes: 1 }), /unknown key "sizes"/);
  const over = helper.batches({ topics: ['t'], write });
  await assert.rejects(helper.messages({ topics: ['t'] }), /before/);
  await program.gs.stop();
});
