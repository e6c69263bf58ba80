'use strict';
// What adapters answer in the application's stead. `writeHead` and `end` are statements of their own: frameworks replace them, and
// theirs need not return the response (restify).

const PLAIN = 'text/plain';

function say(response, status, body, headers = {}) {
  response.writeHead(status, { 'Content-Type': PLAIN, 'Content-Length': Buffer.byteLength(body), ...headers });
  response.end(body);
}

const ok = (response) => say(response, 200, 'ok\n');

/** 503, or what an EventSource needs to come back: it gives up for good at any status but 200. */
function refuse(request, response, why) {
  const stream = String(request.headers?.accept ?? '').includes('text/event-stream');
  if (stream) say(response, 200, 'retry: 1000\n\n', { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' });
  else say(response, 503, `${why}\n`, { 'Retry-After': '1' });
}

module.exports = { ok, refuse };
