// Takes a service out of a registry of several nodes: asks one after another until one says yes. AssemblyScript.
//
//   [[hook]]
//   phase = "announce"
//   name = "deregister"
//   timeout = "2s"
//   [hook.wasm]
//   path = "deregister.wasm"
//   http = ["DELETE 10.0.0.1:8761", "DELETE 10.0.0.2:8761"]
//   config = { nodes = "http://10.0.0.1:8761 http://10.0.0.2:8761", path = "/eureka/apps/WEB/web-1" }
//
// config: nodes (addresses, spaces between), path, method (DELETE without), body with type (its Content-Type). 2xx and 404 (already
// gone) are a yes; when no node says that, the hook fails with what the last one said. It does not begin another request at its
// soft deadline.
@external("graceshut_v1", "log") declare function log(level: i32, text: usize, len: i32): void;
@external("graceshut_v1", "set_error") declare function setError(text: usize, len: i32): void;
@external("graceshut_v1", "cancelled") declare function cancelled(): i32;
@external("graceshut_v1", "context_read") declare function contextRead(key: usize, keyLen: i32, out: usize, cap: i32): i32;
@external("graceshut_v1", "http_request") declare function httpRequest(request: usize, len: i32, out: usize, cap: i32): i32;

const INFO: i32 = 2;
const WARNING: i32 = 3;

function say(level: i32, text: string): void {
  const bytes = String.UTF8.encode(text);
  log(level, changetype<usize>(bytes), bytes.byteLength);
}

function fail(code: i32, text: string): i32 {
  const bytes = String.UTF8.encode(text);
  setError(changetype<usize>(bytes), bytes.byteLength);
  return code;
}

// The text of a key; `instead` when there is none.
function config(key: string, instead: string): string {
  const name = String.UTF8.encode("config." + key);
  // How long it is, then the text: nothing is cut.
  const len = contextRead(changetype<usize>(name), name.byteLength, 0, 0);
  if (len < 0) return instead;
  const text = new ArrayBuffer(len);
  contextRead(changetype<usize>(name), name.byteLength, changetype<usize>(text), len);
  return String.UTF8.decode(text);
}

const answer = new ArrayBuffer(3);

// What a node answers: its status, or why there is none.
function ask(request: string): string {
  const bytes = String.UTF8.encode(request);
  const len = httpRequest(changetype<usize>(bytes), bytes.byteLength, changetype<usize>(answer), answer.byteLength);
  if (len >= 3) return String.UTF8.decode(answer);
  if (len == -2) return "not granted, see http in the hook's table";
  if (len == -3) return "malformed";
  return len == -4 ? "too large" : "no answer";
}

export function run(reason: i32): i32 {
  const nodes = config("nodes", "");
  const path = config("path", "");
  if (nodes == "" || path == "") return fail(2, "config.nodes or config.path is missing");
  const body = config("body", "");
  const rest = (body == "" ? "" : "Content-Type: " + config("type", "application/json") + "\n") + "\n" + body;
  let last = "nobody was asked before the deadline";
  const list = nodes.split(" ");
  for (let i = 0; i < list.length && cancelled() == 0; i++) {
    if (list[i] == "") continue;
    const said = ask(config("method", "DELETE") + " " + list[i] + path + "\n" + rest);
    if (said.startsWith("2") || said == "404") {
      say(INFO, "deregistered at " + list[i]);
      return 0;
    }
    last = list[i] + ": " + said;
    say(WARNING, last);
  }
  return fail(1, last);
}
