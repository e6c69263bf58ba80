'use strict';
// Answers that have no end of their own: server-sent events, long polls (spec 9.6). They are told when `drain` begins, and ended in
// order when their time is over, so that the drain need not wait for its deadline.
//
// Which answers these are: those whose type says so, those a handler has named with gs.stream(), and a GET that has not been answered
// at all by then (a long poll). A download that is merely long is neither: ended early it would look complete to its client.

const { setMaxListeners } = require('node:events');

const { refuse } = require('./answers.js');

const ENDLESS = /^\s*(text\/event-stream|multipart\/x-mixed-replace)\b/i;

/** Responses and HTTP/2 streams that gs.stream() was called with. */
const named = new WeakSet();

/** What the server knows an answer by: of the compatibility layer of HTTP/2 it is the stream. */
const known = (response) => response.stream ?? response;

function name(response) {
  named.add(known(response));
}

/** Headers given to writeHead() alone are in the text of the head only. */
function typeOf(answer) {
  const [, sent] = /^content-type: *(.*)$/im.exec(answer._header ?? '') ?? [];
  return String(sent ?? answer.sentHeaders?.['content-type'] ?? answer.getHeader?.('content-type') ?? '');
}

function isEndless(answer, method) {
  return named.has(answer) || (answer.headersSent ? ENDLESS.test(typeOf(answer)) : method === 'GET');
}

const nothing = () => {};

/** What its handler still writes goes nowhere, instead of being an error that nobody handles. */
function mute(answer) {
  answer.on('error', nothing);
  answer.write = () => false;
}

/** The last chunk of an answer of HTTP/1.1; a whole answer where none was begun (a long poll). */
function endAnswer(request, answer) {
  if (answer.writableEnded || answer.destroyed) return;
  if (answer.headersSent) answer.end();
  else refuse(request, answer, 'draining');
  mute(answer);
}

/** The same for a stream of HTTP/2. */
function endStream(stream) {
  if (stream.writableEnded || stream.destroyed) return;
  if (!stream.headersSent) stream.respond({ ':status': 503, 'content-type': 'text/plain', 'retry-after': '1' });
  stream.end();
  mute(stream);
}

/** An AbortSignal for gs.draining; any number may listen. */
function signalOf(draining) {
  const controller = new AbortController();
  setMaxListeners(0, controller.signal);
  draining.then(() => controller.abort(), nothing);
  return controller.signal;
}

module.exports = { endAnswer, endStream, isEndless, name, signalOf };
