/* Hooks: order, errors, cancellation, completion later, limits, kinds without code, registration under way, events. */
#include "common.h"

static int fails(graceshut_ctx *ctx, void *data)
{
    (void)data;
    OK(graceshut_ctx_set_error(ctx, "disk on fire"));
    return 7;
}

static int panics(graceshut_ctx *ctx, void *data)
{
    (void)data;
    OK(graceshut_ctx_set_error(ctx, "index out of range"));
    return GRACESHUT_PANICKED;
}

static int proposes(graceshut_ctx *ctx, void *data)
{
    OK(graceshut_ctx_propose_exit(ctx, *(const int *)data));
    FAILS(graceshut_ctx_propose_exit(NULL, 1), GRACESHUT_E_NULL);
    return 0;
}

static int fails_silently(graceshut_ctx *ctx, void *data) { (void)ctx, (void)data; return 7; }

static int until_cancelled(graceshut_ctx *ctx, void *data)
{
    (void)data;
    CHECK(!graceshut_ctx_cancelled(ctx));
    CHECK(graceshut_ctx_wait_cancelled(ctx, 50 * 1000000LL) == 1);
    CHECK(graceshut_ctx_cancelled(ctx));
    CHECK(graceshut_ctx_remaining_us(ctx) >= 0);
    return GRACESHUT_CANCELLED;
}

static int finishes_late(graceshut_ctx *ctx, void *data)
{
    (void)data;
    graceshut_ctx_wait_cancelled(ctx, 50 * 1000000LL);
    return 0;
}

static int hangs(graceshut_ctx *ctx, void *data) { (void)ctx, (void)data; idle(); }

static int order(void)
{
    static const char *const phases[] = {"final", "close", "close", "flush", "drain", "announce"};
    static const char *const names[] = {"f", "c1", "c2", "b", "d", "a"};
    graceshut_t *gs = install(NULL);
    int i;
    for (i = 0; i < 6; i++)
        hook(gs, phases[i], names[i], named);
    say("ready");
    idle();
}

static int error(void)
{
    graceshut_t *gs = install(NULL);
    hook(gs, "flush", "bad", fails);
    hook(gs, "flush", "silent", fails_silently);
    hook(gs, "close", "good", named);
    say("ready");
    idle();
}

/* What bindings say for their hooks: a panic, and an exit call that they cannot contain. */
static int for_bindings(void)
{
    static const int zero = 0, three = 3;
    static const char *const after_three[] = {"exit 3"};
    graceshut_hook_options second = GRACESHUT_HOOK_OPTIONS_INIT;
    graceshut_t *gs = install(NULL);
    graceshut_last_act(NULL);
    graceshut_last_act(gs); /* nothing is decided yet: returns */
    hook(gs, "flush", "panics", panics);
    OK(graceshut_hook(gs, "flush", "exit 3", proposes, (void *)&three, NULL, NULL, NULL));
    /* The first code counts: side by side, either may be the first. */
    second.after = after_three;
    second.after_len = 1;
    OK(graceshut_hook(gs, "flush", "exit 0", proposes, (void *)&zero, NULL, &second, NULL));
    hook(gs, "close", "good", named);
    say("ready");
    idle();
}

/* A host whose exit knows nothing of libc's. */
static graceshut_t *leaving;
static void raw_exit(int code, void *data)
{
    (void)data;
    say("exit %d", code);
    graceshut_last_act(leaving);
    say("not by signal");
    _exit(code);
}

static int raw_host(void)
{
    graceshut_host host;
    graceshut_options o = GRACESHUT_OPTIONS_INIT;
    memset(&host, 0, sizeof host);
    host.size = sizeof host;
    host.language = "raw";
    host.exit = raw_exit;
    host.leaves_by_exit = 1;
    o.host = &host;
    OK(graceshut_install(&o, &leaving));
    say("ready");
    idle();
}

static int optional(void)
{
    graceshut_t *gs = install(NULL);
    graceshut_hook_options o = GRACESHUT_HOOK_OPTIONS_INIT;
    o.flags = GRACESHUT_HOOK_OPTIONAL;
    OK(graceshut_hook(gs, "flush", "bad", fails, NULL, NULL, &o, NULL));
    say("ready");
    idle();
}

static void cancel_seen(void *data) { say("on_cancel %s", (const char *)data); }

static int with_callback(graceshut_ctx *ctx, void *data)
{
    OK(graceshut_ctx_on_cancel(ctx, cancel_seen, data, NULL));
    return until_cancelled(ctx, NULL);
}

static int cancelled(void)
{
    graceshut_t *gs = install_json("{\"grace\": \"5s\"}");
    graceshut_hook_options o = GRACESHUT_HOOK_OPTIONS_INIT;
    static char word[] = "heard";
    o.timeout_us = 1500000; /* 300 ms from the soft deadline to the hard one: enough under valgrind too */
    OK(graceshut_hook(gs, "flush", "gives up", with_callback, word, NULL, &o, NULL));
    OK(graceshut_hook(gs, "flush", "late", finishes_late, NULL, NULL, &o, NULL));
    hook(gs, "close", "after", named);
    say("ready");
    idle();
}

static int timeout(void)
{
    graceshut_t *gs = install_json("{\"grace\": \"3s\"}");
    graceshut_hook_options o = GRACESHUT_HOOK_OPTIONS_INIT;
    o.timeout_us = 200000;
    OK(graceshut_hook(gs, "flush", "stuck", hangs, NULL, NULL, &o, NULL));
    hook(gs, "flush", "beside", named);
    hook(gs, "close", "after", named);
    say("ready");
    idle();
}

static int sees_abandoned(graceshut_ctx *ctx, void *data)
{
    char *names = graceshut_ctx_abandoned(ctx);
    (void)data;
    say("abandoned %s", names);
    graceshut_string_free(names);
    return 0;
}

static int abandoned(void)
{
    graceshut_t *gs = install_json("{\"grace\": \"3s\"}");
    graceshut_hook_options o = GRACESHUT_HOOK_OPTIONS_INIT;
    o.timeout_us = 100000;
    OK(graceshut_hook(gs, "flush", "stuck", hangs, NULL, NULL, &o, NULL));
    hook(gs, "close", "looks", sees_abandoned);
    say("ready");
    idle();
}

static void *finisher(void *c)
{
    graceshut_completion *completion = c;
    graceshut_ctx *ctx = graceshut_completion_context(completion);
    CHECK(strcmp(graceshut_ctx_name(ctx), "later") == 0 || strcmp(graceshut_ctx_name(ctx), "later bad") == 0);
    usleep(30000); /* work */
    if (strcmp(graceshut_ctx_name(ctx), "later") == 0) {
        say("later done");
        OK(graceshut_completion_finish(completion, 0, NULL));
    } else {
        OK(graceshut_ctx_set_error(ctx, "not this"));
        OK(graceshut_completion_finish(completion, 4, "broker gone"));
    }
    return NULL;
}

static void starts(graceshut_completion *completion, void *data)
{
    pthread_t t;
    (void)data;
    CHECK(pthread_create(&t, NULL, finisher, completion) == 0);
    pthread_detach(t);
}

static void at_once(graceshut_completion *completion, void *data)
{
    (void)data;
    OK(graceshut_completion_finish(completion, GRACESHUT_CANCELLED, NULL));
}

static int later(void)
{
    graceshut_t *gs = install(NULL);
    OK(graceshut_hook_start(gs, "flush", "later", starts, NULL, NULL, NULL, NULL));
    OK(graceshut_hook_start(gs, "flush", "later bad", starts, NULL, NULL, NULL, NULL));
    OK(graceshut_hook_start(gs, "flush", "at once", at_once, NULL, NULL, NULL, NULL));
    hook(gs, "close", "after", named);
    say("ready");
    idle();
}

static void keeps(graceshut_completion *completion, void *data) { *(graceshut_completion **)data = completion; }

static int never(void)
{
    static graceshut_completion *kept;
    graceshut_t *gs = install_json("{\"grace\": \"2s\"}");
    graceshut_hook_options o = GRACESHUT_HOOK_OPTIONS_INIT;
    o.timeout_us = 200000;
    OK(graceshut_hook_start(gs, "flush", "never", keeps, &kept, NULL, &o, NULL));
    hook(gs, "close", "after", named);
    say("ready");
    idle();
}

static int after(void)
{
    static const char *const names[] = {"second", "no such hook"};
    static const char *const first[] = {"first"};
    graceshut_t *gs = install(NULL);
    graceshut_hook_options o = GRACESHUT_HOOK_OPTIONS_INIT;
    o.after = names;
    o.after_len = 2;
    OK(graceshut_hook(gs, "flush", "third", named, NULL, NULL, &o, NULL));
    o.after = first;
    o.after_len = 1;
    OK(graceshut_hook(gs, "flush", "second", named, NULL, NULL, &o, NULL));
    OK(graceshut_hook(gs, "flush", "first", named, NULL, NULL, NULL, NULL));
    say("ready");
    idle();
}

/* JSON, EXEC_FILE, HTTP_URL and SIGNAL_PID come from the runner. */
static int json(void)
{
    char text[1024];
    uint32_t id = 99;
    graceshut_t *gs = install(NULL);
    snprintf(text, sizeof text, "{\"phase\": \"flush\", \"name\": \"sync\", \"exec\": [\"sh\", \"-c\", \"echo ran $GRACESHUT_GRACE > %s\"]}",
             getenv("EXEC_FILE"));
    OK(graceshut_hook_json(gs, text, &id));
    CHECK(id != 99);
    snprintf(text, sizeof text, "{\"phase\": \"announce\", \"name\": \"registry\", \"http\": {\"method\": \"PUT\", \"url\": \"%s\"}}",
             getenv("HTTP_URL"));
    OK(graceshut_hook_json(gs, text, NULL));
    OK(graceshut_hook_json(gs, "{\"phase\": \"drain\", \"name\": \"pause\", \"delay\": 100000}", NULL));
    snprintf(text, sizeof text, "{\"phase\": \"close\", \"name\": \"child\", \"signal\": {\"pid\": %s, \"signal\": \"USR1\"}}",
             getenv("SIGNAL_PID"));
    OK(graceshut_hook_json(gs, text, NULL));
    OK(graceshut_hook_json(gs, "{\"phase\": \"flush\", \"name\": \"wrong\", \"optional\": true, \"exec\": [\"sh\", \"-c\", \"exit 4\"]}", NULL));
    say("ready");
    idle();
}

static int registers(graceshut_ctx *ctx, void *data)
{
    graceshut_t *gs = data;
    char *phase = graceshut_phase(gs), *reason = graceshut_ctx_reason(ctx);
    CHECK(strcmp(phase, "drain") == 0);
    CHECK(strcmp(reason, "signal") == 0 && graceshut_ctx_signal(ctx) == SIGTERM);
    graceshut_string_free(phase);
    graceshut_string_free(reason);
    CHECK(graceshut_state(gs) == GRACESHUT_STOPPING);
    FAILS(graceshut_hook(gs, "announce", "past", named, NULL, NULL, NULL, NULL), GRACESHUT_E_TOO_LATE);
    OK(graceshut_hook(gs, "drain", "now", named, NULL, NULL, NULL, NULL));
    OK(graceshut_hook(gs, "close", "then", named, NULL, NULL, NULL, NULL));
    OK(graceshut_stop(gs, "again", 0));
    FAILS(graceshut_wait(gs, GRACESHUT_FOREVER, NULL), GRACESHUT_E_WRONG_THREAD);
    SAYS("inside a hook");
    FAILS(graceshut_uninstall(gs), GRACESHUT_E_WRONG_THREAD);
    CHECK(graceshut_report_json(gs) == NULL);
    return 0;
}

static int under_way(void)
{
    graceshut_t *gs = install(NULL);
    OK(graceshut_hook(gs, "drain", "registers", registers, gs, NULL, NULL, NULL));
    say("ready");
    idle();
}

static int extends(graceshut_ctx *ctx, void *data)
{
    int64_t before = graceshut_ctx_remaining_us(ctx), granted;
    (void)data;
    granted = graceshut_ctx_extend(ctx, 500000);
    CHECK(granted > 0 && granted <= 500000);
    CHECK(graceshut_ctx_remaining_us(ctx) > before);
    CHECK(graceshut_ctx_extend(ctx, -1) == 0);
    SAYS("negative");
    CHECK(graceshut_ctx_wait_cancelled(ctx, 350000) == 0); /* past the first soft deadline of 200 ms x 0.8 */
    return 0;
}

static int extend(void)
{
    graceshut_t *gs = install(NULL);
    graceshut_hook_options o = GRACESHUT_HOOK_OPTIONS_INIT;
    o.timeout_us = 200000;
    OK(graceshut_hook(gs, "flush", "extends", extends, NULL, NULL, &o, NULL));
    say("ready");
    idle();
}

static void event(const char *json, void *data)
{
    (void)data;
    say("event %s", json);
}

static int talks(graceshut_ctx *ctx, void *data)
{
    (void)data;
    OK(graceshut_ctx_log(ctx, "half way"));
    OK(graceshut_ctx_progress(ctx, 5, 10));
    usleep(50000); /* so that the events are read before the process ends */
    return 0;
}

static int events(void)
{
    graceshut_t *gs = install(NULL);
    OK(graceshut_on_event(gs, event, NULL, NULL));
    hook(gs, "flush", "talks", talks);
    hook(gs, "final", "last", talks);
    say("ready");
    idle();
}

static int reloads(void *data)
{
    (void)data;
    say("reloaded");
    return 0;
}

static int reload(void)
{
    graceshut_t *gs = install(NULL);
    OK(graceshut_on_reload(gs, "config", reloads, NULL, NULL));
    hook(gs, "flush", "b", named);
    say("ready");
    idle();
}

static int removed(void)
{
    graceshut_t *gs = install(NULL);
    uint32_t id = 0;
    int how = -1;
    OK(graceshut_hook(gs, "flush", "gone", named, NULL, NULL, NULL, &id));
    hook(gs, "flush", "stays", named);
    OK(graceshut_remove(gs, id, &how));
    CHECK(how == GRACESHUT_REMOVED);
    OK(graceshut_remove(gs, id, &how));
    CHECK(how == GRACESHUT_DONE);
    OK(graceshut_remove(gs, 12345, NULL));
    say("ready");
    idle();
}

static int hold(void)
{
    graceshut_options o = GRACESHUT_OPTIONS_INIT;
    graceshut_t *gs;
    o.flags = GRACESHUT_HOLD;
    gs = install(&o);
    raise(SIGTERM);
    hook(gs, "flush", "registered after the signal", named);
    say("ready");
    OK(graceshut_ready(gs));
    idle();
}

static int foreign_handler(void)
{
    graceshut_t *gs = install(NULL);
    hook(gs, "flush", "b", named);
    signal(SIGTERM, SIG_DFL);
    OK(graceshut_rearm(gs, SIGTERM, GRACESHUT_CHAIN_NEVER));
    FAILS(graceshut_rearm(gs, SIGTERM, 9), GRACESHUT_E_BAD_VALUE);
    FAILS(graceshut_rearm(gs, SIGUSR2, GRACESHUT_CHAIN_NEVER), GRACESHUT_E_NOT_INSTALLED);
    say("ready");
    idle();
}

int main(int argc, char **argv)
{
    static const struct scenario list[] = {
        {"order", order}, {"error", error}, {"optional", optional}, {"cancelled", cancelled}, {"timeout", timeout},
        {"abandoned", abandoned}, {"later", later}, {"never", never}, {"after", after}, {"json", json},
        {"under_way", under_way}, {"extend", extend}, {"events", events}, {"reload", reload}, {"removed", removed},
        {"hold", hold}, {"foreign_handler", foreign_handler}, {"for_bindings", for_bindings}, {"raw_host", raw_host}, {NULL, NULL},
    };
    return run_scenario(list, argc, argv);
}
