// The ABI graceshut_v1 for C. docs/wasm-hooks.md says what each function means.
#pragma once

#define GRACESHUT_IMPORT(name) __attribute__((import_module("graceshut_v1"), import_name(name)))
#define GRACESHUT_EXPORT(name) __attribute__((export_name(name)))

enum { GRACESHUT_TRACE, GRACESHUT_DEBUG, GRACESHUT_INFO, GRACESHUT_WARNING, GRACESHUT_ERROR };
enum { GRACESHUT_SIGNAL = 1, GRACESHUT_STOP, GRACESHUT_HOST_END, GRACESHUT_UNCAUGHT };
enum { GRACESHUT_NOT_FOUND = -1, GRACESHUT_DENIED = -2, GRACESHUT_MALFORMED = -3, GRACESHUT_FULL = -4, GRACESHUT_FAILED = -5 };

GRACESHUT_IMPORT("log") void graceshut_log(int level, const char *text, int len);
GRACESHUT_IMPORT("remaining_ms") long long graceshut_remaining_ms(void);
GRACESHUT_IMPORT("cancelled") int graceshut_cancelled(void);
GRACESHUT_IMPORT("extend") long long graceshut_extend(long long ms);
GRACESHUT_IMPORT("progress") void graceshut_progress(long long done, long long total);
GRACESHUT_IMPORT("reason") int graceshut_reason(void);
GRACESHUT_IMPORT("signal_number") int graceshut_signal_number(void);
GRACESHUT_IMPORT("context_read") int graceshut_context_read(const char *key, int key_len, char *out, int cap);
GRACESHUT_IMPORT("set_error") void graceshut_set_error(const char *text, int len);
GRACESHUT_IMPORT("state_put") int graceshut_state_put(const char *key, int key_len, const char *value, int value_len);
GRACESHUT_IMPORT("state_get") int graceshut_state_get(const char *key, int key_len, char *out, int cap);
GRACESHUT_IMPORT("http_request") int graceshut_http_request(const char *request, int len, char *out, int cap);
