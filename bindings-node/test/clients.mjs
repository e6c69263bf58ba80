// Clients of the server tests: what they hear, and how it ends for them.
import assert from 'node:assert/strict';
import http from 'node:http';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** A raw connection: what it heard, and how it ended. */
export async function raw(port, first) {
  const socket = connect(port, '127.0.0.1');
  const it = { socket, heard: '', end: null };
  socket.on('data', (d) => (it.heard += d));
  it.over = new Promise((done) => {
    socket.on('end', () => (it.end ??= 'end'));
    socket.on('error', (e) => (it.end ??= e.code));
    socket.on('close', () => done(it));
  });
  await new Promise((done) => socket.once('connect', done));
  if (first) socket.write(first);
  it.hears = async (text) => {
    const until = performance.now() + 8000;
    while (!it.heard.includes(text)) {
      assert.ok(performance.now() < until && !it.end, `never heard ${text}: ${it.heard} (${it.end})`);
      await sleep(5);
    }
  };
  return it;
}

export const GET = (path = '/', more = '') => `GET ${path} HTTP/1.1\r\nHost: x\r\n${more}\r\n`;

export const ask = (port, path, { method = 'GET', agent, body, headers } = {}) =>
  new Promise((done, fail) => {
    const request = http.request({ port, path, method, agent, headers, host: '127.0.0.1', timeout: 8000 }, (response) => {
      let text = '';
      response.on('data', (d) => (text += d)).on('end', () => done({ status: response.statusCode, text, headers: response.headers }));
    });
    request.on('error', fail).end(body);
  });

/** The port a child has said, as `port 8080`. */
export const portOf = (it) => Number(/^port (\d+)$/m.exec(it.stdout)[1]);
