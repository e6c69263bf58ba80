// Takes every instance of a service out of Consul that its agent on this machine knows. JavaScript, a component.
//
//   [[hook]]
//   phase = "announce"
//   name = "deregister"
//   timeout = "5s"
//   [hook.wasm]
//   path = "deregister.wasm"
//   http = ["GET,PUT 127.0.0.1:8500"]
//   config = { service = "web", agent = "http://127.0.0.1:8500", token = "secret" }
//
// config: service (required), agent (that of the example without), token (an ACL token). One that cannot be taken out fails the hook,
// in words, after the others were. Its project is built for the world with requests: make WORLD=hook-with-http.
import { cancelled, contextRead, log, progress } from 'graceshut:hook/host@0.1.0';
import { httpRequest } from 'graceshut:hook/http@0.1.0';

// UTF-8, by hand: QuickJS has no TextDecoder.
const text = (bytes) => decodeURIComponent(Array.from(bytes, (b) => '%' + b.toString(16).padStart(2, '0')).join(''));

function ask(method, url) {
  const token = contextRead('config.token');
  const headers = token === null ? [] : [['X-Consul-Token', token]];
  let answer;
  try {
    answer = httpRequest({ method, url, headers, body: new Uint8Array() });
  } catch (e) {
    throw new Error(e.payload.val); // the text of a `failure`: denied, malformed, too-large, failed
  }
  if (answer.status !== 200) throw new Error(`${method} ${url}: ${answer.status} ${text(answer.body).slice(0, 200)}`);
  return answer.body;
}

export function run() {
  const service = contextRead('config.service');
  if (service === null) throw new Error('config.service is missing');
  const agent = contextRead('config.agent') ?? 'http://127.0.0.1:8500';
  const services = Object.values(JSON.parse(text(ask('GET', `${agent}/v1/agent/services`))));
  const ids = services.filter((s) => s.Service === service).map((s) => s.ID);
  const failed = [];
  let done = 0;
  for (const id of ids) {
    if (cancelled()) throw 'cancelled';
    try {
      ask('PUT', `${agent}/v1/agent/service/deregister/${encodeURIComponent(id)}`);
      progress(++done, ids.length);
      log('info', `deregistered ${id}`);
    } catch (e) {
      failed.push(e.message);
    }
  }
  if (failed.length > 0) throw new Error(failed.join('; '));
  if (ids.length === 0) log('warning', `the agent knows no ${service}`);
}
