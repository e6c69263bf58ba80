#define _GNU_SOURCE
#include "bridge.h"
#include "_cgo_export.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static void go_exit(int code, void *data) { (void)data; graceshutGoExit(code); }
static int go_chain(int signo, void *data) { (void)data; return graceshutGoChain(signo); }
static void go_start(graceshut_completion *completion, void *data) { graceshutGoStart(completion, (uintptr_t)data); }
static void go_cancel(void *data) { graceshutGoCancel((uintptr_t)data); }
static void go_destroy(void *data) { graceshutGoDestroy((uintptr_t)data); }
static int go_reload(void *data) { return graceshutGoReload((uintptr_t)data); }
static void go_event(const char *json, void *data) { graceshutGoEvent((char *)json, (uintptr_t)data); }

int gs_go_install(const struct gs_go_install *what, graceshut_t **out)
{
    graceshut_options options = GRACESHUT_OPTIONS_INIT;
    graceshut_host host;
    memset(&host, 0, sizeof host);
    host.size = sizeof host;
    host.language = "go";
    host.version = what->version;
    host.chain = go_chain;
    if (!what->guest) {
        host.exit = go_exit;
    }
    options.grace_us = what->grace_us;
    options.flags = what->flags;
    options.exit = what->exit;
    options.repeat = what->repeat;
    options.report = what->report;
    options.json = what->json;
    options.host = &host;
    return graceshut_install(&options, out);
}

int gs_go_hook(const graceshut_t *gs, const char *phase, const char *name, uintptr_t data, int64_t timeout_us, const char *after,
               size_t after_len, uint32_t flags, uint32_t *out_id)
{
    graceshut_hook_options options = GRACESHUT_HOOK_OPTIONS_INIT;
    const char **names = NULL;
    size_t i;
    int code;
    if (after_len > 0) {
        names = calloc(after_len, sizeof *names);
        if (names == NULL) {
            graceshutGoDestroy(data);
            return GRACESHUT_E_OS;
        }
        for (i = 0; i < after_len; i++, after += strlen(after) + 1)
            names[i] = after;
    }
    options.timeout_us = timeout_us;
    options.after = names;
    options.after_len = after_len;
    options.flags = flags | GRACESHUT_HOOK_IN_HOST;
    code = graceshut_hook_start(gs, phase, name, go_start, (void *)data, go_destroy, &options, out_id);
    free(names);
    return code;
}

int gs_go_on_reload(const graceshut_t *gs, const char *name, uintptr_t data)
{
    return graceshut_on_reload(gs, name, go_reload, (void *)data, go_destroy);
}

int gs_go_on_event(const graceshut_t *gs, uintptr_t data) { return graceshut_on_event(gs, go_event, (void *)data, go_destroy); }

int gs_go_on_cancel(graceshut_ctx *ctx, uintptr_t data) { return graceshut_ctx_on_cancel(ctx, go_cancel, (void *)data, go_destroy); }

void gs_go_exit(int code) { exit(code); }

/* The kernel's own structure: libc's sigaction may be somebody's replacement. x86-64 and aarch64 agree on the first two. */
struct kernel_action {
    void *handler;
    unsigned long flags;
    void *restorer;
    uint64_t mask;
};

static struct kernel_action ask(int signo)
{
    struct kernel_action a;
    memset(&a, 0, sizeof a);
    syscall(SYS_rt_sigaction, signo, NULL, &a, sizeof a.mask);
    return a;
}

int gs_go_handler_of(int signo)
{
    void *handler = ask(signo).handler;
    if (handler == (void *)SIG_DFL)
        return GS_GO_DEFAULT;
    if (handler == (void *)SIG_IGN)
        return GS_GO_IGNORED;
    /* Go has one handler for everything, and takes URG (to preempt) and PIPE also as somebody's guest. */
    return handler == ask(SIGURG).handler || handler == ask(SIGPIPE).handler ? GS_GO_OURS : GS_GO_FOREIGN;
}

long gs_go_flags_of(int signo) { return (long)ask(signo).flags; }
