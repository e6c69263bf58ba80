'use strict';
// Batches: messages are collected, written by one call of the program, and committed when that call has returned.

class Batches {
  /** `retry` null: a write that fails ends the consumption, with its error. */
  constructor({ write, size, seconds, retry }) {
    this.write = write;
    this.size = size;
    this.wait = seconds * 1000;
    this.retry = retry === null ? null : retry * 1000;
    this.buffer = [];
    this.writing = null;
    this.timer = null;
    /** The last write failed, and waits for its next try. */
    this.failed = false;
    this.abort = new AbortController();
  }

  join(consumption) {
    this.consumption = consumption;
  }

  room() {
    return this.buffer.length < this.size;
  }

  take(taken) {
    this.buffer.push(taken);
    if (!this.room()) this.begin();
    else this.arm();
  }

  holds() {
    return this.writing !== null || this.buffer.length > 0;
  }

  busy() {
    return this.writing ? 'a write is still under way' : '';
  }

  async settled() {
    while (this.writing) await this.writing.catch(() => {});
  }

  async finish() {
    await this.settled();
    // Of a generation that ends: whether its offsets were still taken is uncertain, and the next reader has them all.
    if (this.consumption.rejoining) this.forget();
    while (this.buffer.length) await this.writeAll();
  }

  /** What is left is written at once; where that fails, flush has another try. */
  drain() {
    this.disarm();
    const rest = () => (this.buffer.length && !this.consumption.rejoining ? this.writeAll() : undefined);
    this.settled().then(rest).catch((error) => this.consumption.tell('write failed, and is tried once more in flush', error));
  }

  forget() {
    this.buffer = [];
    this.disarm();
  }

  // ---- writing: one at a time ----

  arm(wait = this.wait) {
    this.timer ??= setTimeout(() => {
      this.timer = null;
      this.begin();
    }, wait);
  }

  disarm() {
    clearTimeout(this.timer);
    this.timer = null;
  }

  /** Writes while no hook asks for it. */
  begin() {
    const { consumption } = this;
    // While a failed write waits for its next try, a full buffer is no reason for one.
    if (this.writing || !this.buffer.length || consumption.draining || consumption.rejoining || (this.failed && this.timer)) return;
    this.writeAll().catch((error) => {
      if (consumption.draining) return consumption.tell('write failed, and is tried once more in flush', error);
      if (this.retry === null) return consumption.fail(error);
      consumption.tell(`write failed, ${this.buffer.length} messages wait for the next try in ${this.retry} ms`, error);
      return this.arm(this.retry);
    });
  }

  writeAll() {
    this.disarm();
    const taken = this.buffer;
    this.buffer = [];
    this.writing = this.writeOut(taken).finally(() => {
      this.writing = null;
      this.consumption.changes.happened();
    });
    // Taken meanwhile, up to the brim.
    const next = () => {
      if (!this.room()) this.begin();
      else if (this.buffer.length && !this.consumption.draining) this.arm();
    };
    this.writing.then(next, () => {});
    return this.writing;
  }

  async writeOut(taken) {
    const { ledger } = this.consumption;
    try {
      await this.write(
        taken.map((t) => t.message),
        { signal: this.abort.signal },
      );
    } catch (error) {
      this.failed = true;
      // Those of an earlier generation come again.
      this.buffer = taken.filter((t) => ledger.isOpen(t)).concat(this.buffer);
      throw error;
    }
    this.failed = false;
    for (const t of taken) ledger.done(t);
    this.buffer = this.buffer.filter((t) => !t.done);
    try {
      await this.consumption.commit();
    } catch (error) {
      // Written is written; the offsets go with the next commit.
      this.consumption.tell('the offsets of what was written could not be committed yet', error);
    }
  }
}

module.exports = { Batches };
