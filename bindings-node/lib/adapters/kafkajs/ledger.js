'use strict';
// What a consumer has taken and what of it is done, by partition. It decides what may be committed:
//
//   1. An offset is committable when every message before it, from where this generation began to read, is done.
//   2. A partition that a new generation of the group does not give to this consumer is forgotten, with all its messages.
//   3. What is done but was not committed before the group joined anew is not given out twice: the new generation reads it again
//      from the committed offset, and finds it done here.

/** One message as it was taken. `done` may come at any time, also when its partition has long gone. */
class Taken {
  constructor(part, generation, offset, message) {
    this.part = part;
    this.generation = generation;
    this.offset = offset;
    this.message = message;
    this.done = false;
  }
}

class Part {
  constructor(topic, partition) {
    this.topic = topic;
    this.partition = partition;
    /** Taken in this generation and not yet committable, in the order of their offsets. */
    this.open = [];
    /** Offsets that are committable and not committed. */
    this.uncommitted = [];
    /** Offsets that an earlier generation finished and did not commit. */
    this.finished = new Set();
  }

  /** The offset up to which all is done; null when that is no news since the last commit. */
  get ready() {
    return this.uncommitted.length ? this.uncommitted.at(-1) + 1n : null;
  }

  advance() {
    let n = 0;
    while (n < this.open.length && this.open[n].done) n++;
    for (const { offset } of this.open.splice(0, n)) this.uncommitted.push(offset);
  }

  /** A new generation reads this partition again, from the committed offset on. */
  again() {
    for (const taken of this.open) if (taken.done) this.finished.add(taken.offset);
    for (const offset of this.uncommitted) this.finished.add(offset);
    this.open = [];
    this.uncommitted = [];
  }
}

const keyOf = (topic, partition) => `${partition} ${topic}`;

class Ledger {
  constructor() {
    this.generation = 0;
    this.parts = new Map();
  }

  /** A new generation, with the partitions it gives to this consumer: `{ topic: [0, 1] }`. */
  assign(assignment) {
    this.generation++;
    const before = this.parts;
    this.parts = new Map();
    for (const [topic, partitions] of Object.entries(assignment ?? {})) {
      for (const partition of partitions) {
        const key = keyOf(topic, partition);
        const part = before.get(key) ?? new Part(topic, partition);
        part.again();
        this.parts.set(key, part);
      }
    }
  }

  has(topic, partition) {
    return this.parts.has(keyOf(topic, partition));
  }

  /** Takes a message in; null when an earlier generation has finished it already, or when its partition is not ours. */
  take(topic, partition, message) {
    const part = this.parts.get(keyOf(topic, partition));
    if (!part) return null;
    const offset = BigInt(message.offset);
    const taken = new Taken(part, this.generation, offset, { ...message, topic, partition });
    part.open.push(taken);
    if (!part.finished.delete(offset)) return taken;
    taken.done = true;
    part.advance();
    return null;
  }

  /** `taken` is done. One of an earlier generation is found in this one, when its partition is still ours. */
  done(taken) {
    if (taken.done) return;
    taken.done = true;
    const { part } = taken;
    if (this.parts.get(keyOf(part.topic, part.partition)) !== part) return;
    if (taken.generation === this.generation) return part.advance();
    const again = part.open.find((t) => t.offset === taken.offset);
    if (again) {
      again.done = true;
      part.advance();
    } else {
      part.finished.add(taken.offset);
    }
  }

  /** Whether `taken` is still to be done by this consumer. */
  isOpen(taken) {
    return !taken.done && taken.generation === this.generation;
  }

  /** What may be committed now: `[{ part, offset }]`. */
  ready() {
    const out = [];
    for (const part of this.parts.values()) if (part.ready !== null) out.push({ part, offset: part.ready });
    return out;
  }

  /** These offsets are committed. */
  committed(offsets) {
    for (const { part, offset } of offsets) {
      part.uncommitted = part.uncommitted.filter((o) => o >= offset);
      for (const old of part.finished) if (old < offset) part.finished.delete(old);
    }
  }
}

module.exports = { Ledger };
