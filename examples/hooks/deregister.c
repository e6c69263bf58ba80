// Takes a service out of a registry: one HTTP request, whatever the registry. No library, no libc: under 2 KB.
//
//   [[hook]]
//   phase = "announce"
//   name = "deregister"
//   timeout = "2s"
//   [hook.wasm]
//   path = "deregister.wasm"
//   http = ["PUT 127.0.0.1:8500"]
//   config = { url = "http://127.0.0.1:8500/v1/agent/service/deregister/web-1", method = "PUT" }
//
// config: url (required), method (POST without), header (one whole line), body. The sidecar of Istio quits by the same file:
// url = "http://127.0.0.1:15020/quitquitquit". 2xx and 404 (already gone) are fine; anything else fails the hook, in words.
#include "graceshut_v1.h"

static char request[16384];
static char answer[4096];
static int used;

static int length(const char *text) {
  int n = 0;
  while (text[n]) n++;
  return n;
}

static void add(const char *text, int len) {
  for (int i = 0; i < len && used < (int)sizeof request; i++) request[used++] = text[i];
}

// Adds the text of config `key`, or `instead`; what it is long, -1 when there is neither.
static int add_config(const char *key, const char *instead) {
  int room = (int)sizeof request - used;
  int len = graceshut_context_read(key, length(key), request + used, room);
  if (len > room) return -1;
  if (len < 0) {
    if (!instead) return -1;
    len = length(instead);
    add(instead, len);
  } else {
    used += len;
  }
  return len;
}

static int fail(int code, const char *why, int len) {
  graceshut_set_error(why, len);
  return code;
}

#define FAIL(code, why) fail(code, why, sizeof why - 1)

GRACESHUT_EXPORT("graceshut_abi") int abi(void) { return 1; }

GRACESHUT_EXPORT("run") int run(int reason) {
  (void)reason;
  add_config("config.method", "POST");
  add(" ", 1);
  if (add_config("config.url", 0) < 1) return FAIL(2, "config.url is missing");
  add("\n", 1);
  if (add_config("config.header", "") > 0) add("\n", 1);
  add("\n", 1);
  add_config("config.body", "");

  int n = graceshut_http_request(request, used, answer, sizeof answer);
  switch (n) {
    case GRACESHUT_DENIED: return FAIL(3, "the request is not granted: see http in the hook's table");
    case GRACESHUT_MALFORMED: return FAIL(3, "config.url, config.method or config.header is malformed");
    case GRACESHUT_FULL: return FAIL(4, "the answer is too large");
    case GRACESHUT_FAILED: return FAIL(4, "the registry does not answer");
  }
  int known = n > (int)sizeof answer ? (int)sizeof answer : n;
  if (n >= 3 && (answer[0] == '2' || (answer[0] == '4' && answer[1] == '0' && answer[2] == '4'))) {
    graceshut_log(GRACESHUT_INFO, "deregistered", 12);
    return 0;
  }
  graceshut_log(GRACESHUT_ERROR, answer, known);
  return fail(1, answer, known < 3 ? known : 3);
}
