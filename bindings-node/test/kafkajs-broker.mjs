// A broker and its consumers as far as acknowledged consumption looks at them, in memory: what of kafkajs 2.2.4 matters here
// (src/consumer/runner.js and consumerGroup.js), with everything that comes from outside in an order that a seed decides.
import { EventEmitter } from 'node:events';

export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

export function random(seed) {
  let a = seed >>> 0;
  const next = () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), a | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  return { chance: (p) => next() < p, below: (n) => Math.floor(next() * n) };
}

const refused = (type) => Object.assign(new Error(type), { name: 'KafkaJSProtocolError', type });

export class Broker {
  constructor(partitions, seed) {
    this.ends = Array(partitions).fill(0);
    this.committed = Array(partitions).fill(0);
    this.written = Array.from({ length: partitions }, () => new Map());
    this.members = new Map();
    this.generation = 0;
    this.waiting = new Map();
    this.wrong = [];
    this.random = random(seed);
    this.down = false;
    this.unheard = 0;
  }

  produce(n) {
    for (let i = 0; i < n; i++) this.ends[this.random.below(this.ends.length)]++;
  }

  /** The store that `write` fills. */
  store(messages) {
    for (const { partition, offset } of messages) this.written[partition].set(Number(offset), (this.written[partition].get(Number(offset)) ?? 0) + 1);
  }

  get duplicates() {
    return this.written.reduce((sum, w) => sum + [...w.values()].reduce((a, n) => a + n - 1, 0), 0);
  }

  get missing() {
    return this.ends.reduce((sum, end, p) => sum + end - this.written[p].size, 0);
  }

  // ---- the group ----

  join(id) {
    if (!this.members.has(id)) this.members.set(id, { mine: [] });
    return new Promise((done, fail) => {
      this.waiting.set(id, { done, fail });
      this.complete();
    });
  }

  /** Every member has joined anew: the next generation. */
  complete() {
    this.stable = false;
    if (!this.waiting.size || [...this.members.keys()].some((id) => !this.waiting.has(id))) return;
    this.generation++;
    this.stable = true;
    const ids = [...this.members.keys()];
    const shift = this.random.below(ids.length);
    ids.forEach((id, i) => {
      const mine = this.ends.map((_, p) => p).filter((p) => (p + shift) % ids.length === i);
      this.members.set(id, { generation: this.generation, mine });
    });
    const waiting = this.waiting;
    this.waiting = new Map();
    for (const [id, { done }] of waiting) done(this.members.get(id));
  }

  leave(id) {
    this.members.delete(id);
    this.waiting.get(id)?.fail(refused('UNKNOWN_MEMBER_ID'));
    this.waiting.delete(id);
    this.complete();
  }

  check(id, generation) {
    if (this.down) throw refused('REQUEST_TIMED_OUT');
    if (!this.members.has(id)) throw refused('UNKNOWN_MEMBER_ID');
    if (generation !== this.generation) throw refused('ILLEGAL_GENERATION');
  }

  heartbeat(id, generation) {
    this.check(id, generation);
    if (!this.stable) throw refused('REBALANCE_IN_PROGRESS');
  }

  commit(id, generation, partitions) {
    this.check(id, generation);
    const { mine } = this.members.get(id);
    for (const { partition, offset } of partitions) {
      const to = Number(offset);
      if (!mine.includes(partition)) this.wrong.push(`${id} committed partition ${partition}, which is not its own`);
      if (to < this.committed[partition]) this.wrong.push(`${id} set partition ${partition} back from ${this.committed[partition]} to ${to}`);
      for (let o = 0; o < to; o++) {
        if (!this.written[partition].has(o)) {
          this.wrong.push(`${id} committed ${to} of partition ${partition}, but ${o} was never written`);
          break;
        }
      }
      this.committed[partition] = to;
    }
  }
}

/** What `kafka.consumer()` answers. */
export class Consumer extends EventEmitter {
  constructor(broker, id, { heartbeatInterval = 4, maxWait = 15 } = {}) {
    super();
    Object.assign(this, { broker, id, heartbeatInterval, maxWait, running: false, dead: false, lastRequest: 0, resolved: new Map() });
    this.events = { GROUP_JOIN: 'consumer.group_join', REBALANCING: 'consumer.rebalancing' };
    this.logged = [];
    this.killed = new Promise((done) => (this.die = done));
  }

  logger() {
    return { error: (message, more) => this.logged.push(`${message} ${JSON.stringify(more)}`) };
  }

  async connect() {
    await this.turn();
  }

  async subscribe() {}

  /** Some time on the network; a killed process never comes back from it. */
  async turn(most = 3) {
    await sleep(this.broker.random.below(most));
    if (this.dead) await new Promise(() => {});
  }

  async run({ eachBatch }) {
    this.running = true;
    await this.joinGroup();
    this.loop = this.fetchLoop(eachBatch);
  }

  async joinGroup() {
    await this.turn();
    const joined = await this.broker.join(this.id).catch(() => null);
    if (this.dead) await new Promise(() => {});
    if (!joined) return this.joinGroup(this.newId());
    this.generation = joined.generation;
    this.manager = { id: this.id, generation: this.generation };
    this.mine = joined.mine;
    this.resolved = new Map();
    this.lastRequest = performance.now();
    await null;
    this.emit(this.events.GROUP_JOIN, { payload: { memberAssignment: { t: joined.mine } } });
    return undefined;
  }

  /** The group knows a member that it gave up by another name from then on. */
  newId() {
    this.id = `${this.id}'`;
  }

  /** Several that ask at once share one. */
  heartbeat() {
    this.beating ??= (async () => {
      if (performance.now() < this.lastRequest + this.heartbeatInterval) return;
      await this.turn(2);
      this.broker.heartbeat(this.id, this.generation);
      this.lastRequest = performance.now();
    })().finally(() => (this.beating = undefined));
    return this.beating;
  }

  async commitNow({ topics }) {
    const { id, generation } = this.manager;
    await this.turn();
    this.broker.commit(id, generation, topics.flatMap((t) => t.partitions));
    await this.turn();
  }

  async fetchLoop(eachBatch) {
    while (this.running) {
      try {
        await this.fetchOnce(eachBatch);
      } catch (error) {
        if (error.type === 'UNKNOWN_MEMBER_ID' || error.type === 'REBALANCE_IN_PROGRESS' || error.type === 'ILLEGAL_GENERATION') {
          if (error.type === 'UNKNOWN_MEMBER_ID') this.newId();
          else this.emit(this.events.REBALANCING, { payload: {} });
          await this.joinGroup();
        } else {
          await sleep(3);
        }
      }
    }
  }

  async fetchOnce(eachBatch) {
    await this.turn();
    const at = (p) => this.resolved.get(p) ?? this.broker.committed[p];
    const batches = this.mine.filter((p) => at(p) < this.broker.ends[p]);
    if (!batches.length) {
      await sleep(this.maxWait);
      return this.ownHeartbeat();
    }
    for (const partition of batches) {
      if (!this.running) return undefined;
      const from = at(partition);
      const to = Math.min(this.broker.ends[partition], from + 1 + this.broker.random.below(12));
      const messages = Array.from({ length: to - from }, (_, i) => ({ offset: String(from + i), value: `${partition}/${from + i}` }));
      const resolveOffset = (offset) => this.resolved.set(partition, Number(offset) + 1);
      const uncommittedOffsets = () => ({
        topics: [{ topic: 't', partitions: [...this.resolved].map(([p, offset]) => ({ partition: String(p), offset: String(offset) })) }],
      });
      await eachBatch({
        batch: { topic: 't', partition, messages },
        resolveOffset,
        uncommittedOffsets,
        heartbeat: () => this.heartbeat(),
        commitOffsetsIfNecessary: (offsets) => this.commitNow(offsets),
        isRunning: () => this.running,
        isStale: () => false,
      });
      await this.ownHeartbeat();
    }
    return undefined;
  }

  /** The fetch loop's. When it hears of a rebalance first, nothing waits for what is under way. */
  async ownHeartbeat() {
    try {
      await this.heartbeat();
    } catch (error) {
      this.broker.unheard++;
      throw error;
    }
  }

  async stop() {
    if (!this.running) return;
    this.running = false;
    await this.loop;
    await this.turn();
    this.broker.leave(this.id);
  }

  async disconnect() {
    await this.stop();
  }

  /** As KILL: nothing of it goes on; the broker notices when the session has run out. */
  kill() {
    this.dead = true;
    this.die();
    this.running = false;
    setTimeout(() => this.broker.leave(this.id), 40);
  }
}

/** A graceshut as the adapter uses it: its hooks, run phase by phase. */
export class Phases {
  constructor() {
    this.hooks = [];
    this.outcomes = {};
  }

  hook(phase, f) {
    this.hooks.push({ phase, f });
  }

  async stop(limits = { drain: 2000, flush: 2000, close: 2000 }) {
    for (const phase of ['drain', 'flush', 'close']) {
      for (const { f } of this.hooks.filter((h) => h.phase === phase)) {
        const abort = new AbortController();
        const timer = setTimeout(() => abort.abort(), limits[phase]);
        try {
          await f({ signal: abort.signal });
          this.outcomes[phase] = 'ok';
        } catch (error) {
          this.outcomes[phase] = error.message;
        }
        clearTimeout(timer);
      }
    }
    return this.outcomes;
  }
}
