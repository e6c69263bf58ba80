/* Between cgo and graceshut.h: what a callback is handed travels as an integer, because Go's stack must not hold an invalid
 * pointer; and what cgo cannot say (function pointers, initialisers, inline functions) is said here. */
#ifndef GRACESHUT_GO_BRIDGE_H
#define GRACESHUT_GO_BRIDGE_H

#include <graceshut.h>
#include <stdint.h>

struct gs_go_install {
    int64_t grace_us;
    uint32_t flags;
    int exit;
    int repeat;
    const char *report;
    const char *json;
    const char *version;
    int guest; /* in somebody else's process: leave through its exit */
};

int gs_go_install(const struct gs_go_install *what, graceshut_t **out);

/* after: n names, each NUL-terminated, one behind the other. */
int gs_go_hook(const graceshut_t *gs, const char *phase, const char *name, uintptr_t data, int64_t timeout_us, const char *after,
               size_t after_len, uint32_t flags, uint32_t *out_id);
int gs_go_on_reload(const graceshut_t *gs, const char *name, uintptr_t data);
int gs_go_on_event(const graceshut_t *gs, uintptr_t data);
int gs_go_on_cancel(graceshut_ctx *ctx, uintptr_t data);

/* The host's exit, with its atexit handlers, as a guest leaves. */
void gs_go_exit(int code);

/* Who handles a signal, by the kernel's word. */
enum { GS_GO_DEFAULT, GS_GO_IGNORED, GS_GO_OURS, GS_GO_FOREIGN };
int gs_go_handler_of(int signo);

/* sa_flags of a signal's handler, for the tests. */
long gs_go_flags_of(int signo);

#endif
