'use strict';
// One connection of HTTP/1.1: what is in flight on it, and who may end it.
//
// Stops of the program's own (stoppable, http-terminator, closeIdleConnections() of Node) end idle connections at the signal, while a
// request may be on its way. From the signal to the end of drain an idle connection is left to the window of gs.http() instead: what comes is
// answered with `Connection: close`, and the connection is half-closed. Requests that such a stop cuts are counted: the report must not say clean.

const CONNECTION = Symbol('graceshut.connection');

/** How long a socket is read on after we ended it, so that what is unread does not turn our last answer into a reset. */
const LINGER_MS = 1000;
/** The same for one that was idle, where the program had not even given it our window. */
const UNWANTED_MS = 100;

/** In place of the socket's own; what an end with words says is the program's answer. */
function end(...words) {
  const connection = this[CONNECTION];
  if (words.length > 0 || !connection.isHeld()) return Reflect.apply(connection.theirs.end, this, words);
  connection.unwanted = true;
  return this;
}

/** With an error the connection has failed; without one the program wants it gone, or Node, which is told apart. */
function destroy(error, ...more) {
  const connection = this[CONNECTION];
  if (!error) {
    if (connection.isHeld()) {
      connection.unwanted = true;
      return this;
    }
    connection.tellOfCut();
  }
  return connection.theirs.destroy.call(this, error, ...more);
}

class Connection {
  constructor(served, socket) {
    this.served = served;
    this.socket = socket;
    /** Requests in flight. */
    this.open = 0;
    /** The last answer begun. */
    this.answer = null;
    this.upgraded = false;
    /** It has not asked for anything yet. */
    this.silent = true;
    /** Our FIN is on its way, or will follow the answer. */
    this.leaving = false;
    /** It ran into a time-out or could not be read: its end is not the stop's. */
    this.failed = false;
    /** The program has ended or destroyed it, and it was left to us. */
    this.unwanted = false;
    this.idleSince = 0;
    /** socket.bytesRead when it went idle: more means that a request is on its way. */
    this.read = 0;
    this.timer = undefined;
    socket[CONNECTION] = this;
    this.theirs = { end: socket.end, destroy: socket.destroy };
    socket.end = end;
    socket.destroy = destroy;
  }

  /** The last request that has come is answered. */
  rest(now) {
    this.idleSince = now;
    this.read = this.socket.bytesRead;
  }

  /** The answer under way is the last one, and says so if its head is not out yet. */
  last(answer) {
    if (answer.headersSent) return;
    answer.shouldKeepAlive = false;
    // http.Server calls this after the last answer. Its own closes a socket that may hold unread bytes: a reset.
    this.socket.destroySoon = () => this.end();
  }

  /** Half-closes, reads on until the client has closed too. */
  end(linger = LINGER_MS) {
    if (this.leaving) return;
    this.leaving = true;
    this.socket.end();
    this.timer = setTimeout(() => this.socket.destroy(), linger);
  }

  /** Its window is over. */
  endIdle() {
    this.end(this.unwanted ? UNWANTED_MS : LINGER_MS);
  }

  /** At once, whatever is in flight. */
  cut() {
    this.leaving = true;
    this.socket.destroy();
  }

  /** Neither side has ended it, and nothing has failed. */
  get isWhole() {
    const { socket } = this;
    return !this.leaving && !this.failed && !socket.destroyed && !socket.readableEnded && !socket.writableEnded;
  }

  /** An end that the program wants waits for ours. */
  isHeld() {
    if (!this.isWhole || this.upgraded) return false;
    // Node itself ends the connection after an answer that is the last one.
    const answered = this.open === 1 && this.answer.writableFinished && this.answer.shouldKeepAlive;
    return (this.open === 0 || answered) && this.served.holds();
  }

  /** Of requests in flight whose handler has not given them up, and whose client is there. */
  tellOfCut() {
    if (this.open === 0 || !this.isWhole) return;
    const { answer } = this;
    if (answer.destroyed || answer.req.aborted) return;
    const unanswered = this.open - (answer.writableFinished ? 1 : 0);
    if (unanswered > 0 && this.served.hasBegun()) this.served.cutByProgram += unanswered;
  }
}

module.exports = { CONNECTION, Connection };
