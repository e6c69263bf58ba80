'use strict';
// Batches: messages are collected, written by one call of the program, and committed when that call has returned.

class Batches {
  constructor({ write, size, seconds }) {
    this.write = write;
    this.size = size;
    this.wait = seconds * 1000;
    this.buffer = [];
    this.writing = null;
    this.timer = null;
    this.failures = 0;
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

  drain() {
    this.disarm();
  }

  forget() {
    this.buffer = [];
    this.disarm();
  }

  // ---- writing: one at a time ----

  arm() {
    this.timer ??= setTimeout(() => {
      this.timer = null;
      this.begin();
    }, this.wait);
  }

  disarm() {
    clearTimeout(this.timer);
    this.timer = null;
  }

  /** Writes by itself, and later again where that fails: the messages stay. */
  begin() {
    const { consumption } = this;
    // While a failed write waits for its next try, a full buffer is no reason for one.
    if (this.writing || !this.buffer.length || consumption.draining || consumption.rejoining || (this.failures && this.timer)) return;
    this.writeAll().catch((error) => {
      consumption.tell(`write failed, ${this.buffer.length} messages wait for the next try in ${this.wait} ms`, error);
      if (!consumption.draining) this.arm();
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
      this.failures++;
      // Those of an earlier generation come again.
      this.buffer = taken.filter((t) => ledger.isOpen(t)).concat(this.buffer);
      throw error;
    }
    this.failures = 0;
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
