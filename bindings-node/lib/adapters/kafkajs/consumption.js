'use strict';
// Acknowledged consumption with a consumer of KafkaJS: the loop is ours, and an offset is committed when what lies before it is done,
// never because the next message was asked for. What KafkaJS leaves to its users, and what is done about it here:
//
//   - `stop()` leaves the group, after which nothing can be committed. So the group is left in `close`, after `flush`.
//   - `pause()` makes the fetch loop sleep for `maxWaitTimeInMs`, and a batch that is returned unread is fetched again at once.
//     So in `drain` the batch in hand is held, with heartbeats, until `close`.
//   - Nothing tells that partitions are taken away: a heartbeat fails, and the consumer joins anew. So the heartbeats are ours as
//     far as they can be, and before such an error goes on to KafkaJS what is taken is finished and committed.
//   - Its own commit is tried again after the group has joined anew, then as a member of another generation. So the commit is
//     that of the batch, which does not try again, and only what KafkaJS itself counts as read in this generation.
//
// What is done, and when, is the form's affair (batches.js, messages.js). A form has
//   room()     whether it takes one more message;
//   take(t)    one more, in the ledger's words;
//   holds()    whether something is not done yet;
//   busy()     what is under way, in words, that `drain` waits for; empty for nothing;
//   settled()  resolves when nothing is under way;
//   finish()   finishes all that it has taken, or throws;
//   drain()    nothing more will come;
//   forget()   a new generation: what is not done will come again.

const { Ledger } = require('./ledger.js');
const { GraceshutError } = require('../../error.js');

/** How often heartbeats are offered to KafkaJS, which sends one when its `heartbeatInterval` has passed. */
const BEAT_MS = 250;
/** Errors of a heartbeat while the group still takes commits of this generation: it waits for its members to join anew. */
const REBALANCING = 'REBALANCE_IN_PROGRESS';

/** Keeps no process alive: the consumer's connections do that. */
const sleep = (ms) => new Promise((done) => setTimeout(done, ms).unref());

/** Wakes those who wait for something to have changed. */
class Changes {
  constructor() {
    this.happened();
  }

  happened() {
    this.wake?.();
    this.next = new Promise((wake) => (this.wake = wake));
  }
}

class Consumption {
  constructor(consumer, form) {
    this.consumer = consumer;
    this.form = form;
    this.ledger = new Ledger();
    this.changes = new Changes();
    /** What a batch of this generation can do for us: heartbeat, commit, uncommitted. Null until there was one. */
    this.calls = null;
    this.draining = false;
    this.left = false;
    /** The group rebalances: what is under way ends, the rest is left for the next generation. */
    this.rejoining = false;
    this.started = null;
    this.committing = Promise.resolve();
    this.released = new Promise((release) => (this.release = release));
    /** Resolves when the group is left; rejects with what ended the consumption, when it was not the shutdown. */
    this.over = new Promise((done, fail) => Object.assign(this, { end: done, broken: fail }));
    this.over.catch(() => {}); // of `messages` it is not waited for
  }

  /** Connects, subscribes and runs the consumer; resolves when it has joined its group. */
  start(topics, fromBeginning) {
    const { consumer } = this;
    const { GROUP_JOIN, REBALANCING: rejoining } = consumer.events;
    consumer.on(GROUP_JOIN, ({ payload }) => this.joined(payload.memberAssignment));
    // Told too late to be waited for, but the group takes commits until its last member has joined.
    consumer.on(rejoining, () => void this.settle());
    this.started = (async () => {
      await consumer.connect();
      await consumer.subscribe({ topics, fromBeginning });
      await consumer.run({ autoCommit: false, eachBatchAutoResolve: false, eachBatch: (payload) => this.eachBatch(payload) });
      // Beside the fetch loop, which asks for a heartbeat only between fetches.
      void this.beats();
    })();
    return this.started;
  }

  joined(assignment) {
    this.calls = null;
    this.rejoining = false;
    this.ledger.assign(assignment);
    this.form.forget();
    this.changes.happened();
  }

  // ---- taking ----

  async eachBatch(payload) {
    const { batch, resolveOffset, heartbeat, isRunning, isStale } = payload;
    const { generation } = this.ledger;
    this.calls = { heartbeat, commit: payload.commitOffsetsIfNecessary, uncommitted: payload.uncommittedOffsets };
    // A tick has heard of a rebalance, and what is under way is waited for: the fetch loop waits here, and hears of it then.
    if (this.rejoining) await this.settle();
    for (const message of batch.messages) {
      while (!this.draining && !this.form.room()) await this.beat(heartbeat, this.changes.next);
      if (this.draining) return this.hold(heartbeat);
      if (!isRunning() || isStale() || generation !== this.ledger.generation) return undefined;
      if (!this.ledger.has(batch.topic, batch.partition)) return undefined;
      resolveOffset(message.offset);
      const taken = this.ledger.take(batch.topic, batch.partition, message);
      if (taken) this.form.take(taken);
    }
    return this.beat(heartbeat);
  }

  /** A heartbeat, if one is due, and a wait of `until`, if given, at most until the next one is to be offered. */
  async beat(heartbeat, until) {
    try {
      await heartbeat();
    } catch (error) {
      if (this.draining) return;
      if (error?.type === REBALANCING) await this.settle();
      throw error;
    }
    if (until) await Promise.race([until, sleep(BEAT_MS)]);
  }

  /** Keeps the batch in hand, unread, until the group is left. */
  async hold(heartbeat) {
    let member = true;
    while (!this.left) {
      if (member) heartbeat().catch(() => (member = false));
      await Promise.race([this.released, sleep(BEAT_MS)]);
    }
  }

  /** While something waits to be finished, a rebalance is to be heard of here and not by the fetch loop, which cannot wait for us. */
  async beats() {
    while (!this.left) {
      await Promise.race([this.released, sleep(BEAT_MS)]);
      const { calls } = this;
      if (this.draining || !calls || !this.form.holds()) continue;
      try {
        await calls.heartbeat();
      } catch (error) {
        if (error?.type === REBALANCING) await this.settle();
        if (this.calls === calls) this.calls = { ...calls, heartbeat: async () => {} };
      }
    }
  }

  // ---- committing ----

  /** Lets what is under way end, and commits. Begins nothing: what is not done is read again by the next generation. Never fails. */
  async settle() {
    this.rejoining = true;
    try {
      await this.form.settled();
      await this.commit();
    } catch (error) {
      this.tell('the group rebalances, and what is done could not be committed before', error);
    }
  }

  /** Commits what may be. One at a time; what cannot be committed now stays in the ledger. */
  commit() {
    const after = this.committing.then(() => this.commitNow());
    this.committing = after.catch(() => {});
    return after;
  }

  async commitNow() {
    if (this.left || !this.calls) return;
    const { commit, uncommitted } = this.calls;
    const read = uncommitted().topics;
    const ready = this.ledger.ready().filter(({ part }) => {
      const topic = read.find((t) => t.topic === part.topic);
      return topic?.partitions.some((p) => Number(p.partition) === part.partition);
    });
    if (!ready.length) return;
    const topics = new Map();
    for (const { part, offset } of ready) {
      const { topic, partition } = part;
      if (!topics.has(topic)) topics.set(topic, { topic, partitions: [] });
      topics.get(topic).partitions.push({ partition, offset: String(offset) });
    }
    await commit({ topics: [...topics.values()] });
    this.ledger.committed(ready);
  }

  tell(message, error) {
    const { logger } = this.consumer;
    if (typeof logger === 'function') logger.call(this.consumer).error(`graceshut: ${message}`, { error: String(error?.message ?? error) });
  }

  /** The program's own error ends the consumption: what is done is committed, the group is left, the error is the program's. */
  fail(error) {
    this.draining = true;
    this.form.forget();
    const leave = async () => {
      await this.commit().catch((e) => this.tell('the offsets of what is done could not be committed', e));
      await this.leave();
    };
    leave()
      .catch((e) => this.tell('the group could not be left', e))
      .then(() => this.broken(error));
  }

  async leave() {
    this.left = true;
    this.release();
    await this.consumer.disconnect();
  }

  // ---- the shutdown ----

  /** Takes nothing more and waits for what is under way. */
  async drain(until) {
    if (this.draining) return; // it has failed
    this.draining = true;
    this.form.drain();
    this.changes.happened();
    while (this.form.busy()) {
      if (!(await until(this.changes.next))) throw new GraceshutError('timeout', this.form.busy());
    }
  }

  /** Finishes the rest and commits. */
  async flush(until) {
    const work = (async () => {
      try {
        await this.form.finish();
      } finally {
        await this.commit();
      }
    })();
    if (!(await until(work))) throw new GraceshutError('timeout', this.form.busy() || 'the offsets are not committed yet');
    if (!this.left && this.ledger.ready().length) throw new GraceshutError('os', 'the offsets of what is done could not be committed: the consumer is not in its group');
  }

  /** Leaves the group. */
  async close(until) {
    if (this.left) return;
    await until(this.started.catch(() => {}));
    // What was done since flush, by other hooks of that phase.
    await until(this.commit().catch(() => {}));
    if (!(await until(this.leave()))) throw new GraceshutError('timeout', 'the broker has not answered that the consumer leaves its group');
    this.end();
  }
}

module.exports = { Consumption };
