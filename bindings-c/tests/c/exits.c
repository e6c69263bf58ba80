/* How a C program ends (spec 2.6) and with what status (spec 6.4, 6.5, 7). The flush hook of each says that hooks ran. */
#include "common.h"

static graceshut_t *with_hook(const char *json)
{
    graceshut_t *gs = install_json(json);
    hook(gs, "flush", "b", named);
    return gs;
}

static int fails(graceshut_ctx *ctx, void *data) { (void)ctx, (void)data; return 1; }
static int exits3(graceshut_ctx *ctx, void *data) { (void)ctx, (void)data; exit(3); }
static int exits0(graceshut_ctx *ctx, void *data) { (void)ctx, (void)data; exit(0); }
static int hangs(graceshut_ctx *ctx, void *data) { (void)ctx, (void)data; say("hanging"); idle(); }
static int slow(graceshut_ctx *ctx, void *data)
{
    (void)data;
    say("slow");
    return graceshut_ctx_wait_cancelled(ctx, 30 * 1000000LL) ? GRACESHUT_CANCELLED : 0;
}

static void said_at_exit(void) { say("atexit"); }
__attribute__((destructor)) static void said_in_destructor(void) { if (getenv("SAY_DESTRUCTOR")) say("destructor"); }

static int return0(void) { with_hook("{}"); return 0; }
static int return5(void) { with_hook("{}"); return 5; }
static int exit0(void) { with_hook("{}"); exit(0); }
static int exit3(void) { with_hook("{}"); atexit(said_at_exit); exit(3); }
static int aborts(void) { with_hook("{}"); abort(); }
static int under_exit(void) { with_hook("{}"); _exit(6); }
static int quick(void) { with_hook("{}"); quick_exit(7); }
static int segv(void) { with_hook("{}"); raise(SIGSEGV); return 0; }
static int degraded_exit0(void) { hook(with_hook("{}"), "close", "bad", fails); exit(0); }
static int degraded_exit4(void) { hook(with_hook("{}"), "close", "bad", fails); exit(4); }

/* A host that tells of its end itself (the JVM): exit is no trigger. */
static graceshut_t *as_teller(void)
{
    graceshut_options o = GRACESHUT_OPTIONS_INIT;
    graceshut_host host;
    graceshut_t *gs;
    memset(&host, 0, sizeof host);
    host.size = sizeof host;
    host.language = "teller";
    host.tells_of_end = 1;
    o.host = &host;
    gs = install(&o);
    hook(gs, "flush", "b", named);
    return gs;
}
static int teller_exit5(void) { as_teller(); exit(5); }
static int teller_return0(void) { as_teller(); return 0; }
static int teller_told(void)
{
    graceshut_t *gs = as_teller();
    OK(graceshut_warn(gs, "something the reader should know"));
    OK(graceshut_warn(gs, "something the reader should know"));
    FAILS(graceshut_warn(gs, ""), GRACESHUT_E_BAD_VALUE);
    hook(gs, "close", "bad", fails);
    OK(graceshut_host_end(gs, NULL, 0));
    OK(graceshut_wait(gs, GRACESHUT_FOREVER, NULL));
    return 0;
}

/* A hook whose host exits inside it, told from another thread. */
static void *told_of_exit(void *completion)
{
    OK(graceshut_ctx_propose_exit(graceshut_completion_context(completion), atoi(getenv("STATUS"))));
    OK(graceshut_completion_finish(completion, 0, NULL));
    return NULL;
}
static void exits_elsewhere(graceshut_completion *completion, void *data)
{
    pthread_t t;
    (void)data;
    pthread_create(&t, NULL, told_of_exit, completion);
}
static int proposed_exit(void)
{
    graceshut_t *gs = with_hook("{}");
    OK(graceshut_hook_start(gs, "drain", "exits", exits_elsewhere, NULL, NULL, NULL, NULL));
    say("ready");
    idle();
}

static void *exits9(void *data) { (void)data; exit(9); }
static int exit_in_thread(void)
{
    pthread_t t;
    with_hook("{}");
    pthread_create(&t, NULL, exits9, NULL);
    idle();
}

static int loops(const char *json) { with_hook(json); say("ready"); idle(); }
static int loop(void) { return loops("{}"); }
static int loop_reraise(void) { return loops("{\"exit\": \"reraise\"}"); }
static int loop_codes(void) { return loops("{\"exit_code_clean\": 40, \"exit_code_degraded\": 41, \"exit_code_forced\": 42}"); }
static int loop_stdio(void)
{
    with_hook("{}");
    atexit(said_at_exit);
    printf("buffered\n"); /* flushed by the process's own exit */
    say("ready");
    idle();
}
static int loop_degraded(void)
{
    hook(with_hook("{}"), "close", "bad", fails);
    say("ready");
    idle();
}

static int waits(void)
{
    graceshut_t *gs = with_hook("{}");
    int code = 77;
    say("ready");
    OK(graceshut_wait(gs, GRACESHUT_FOREVER, &code));
    say("code %d", code);
    graceshut_free(gs);
    return code;
}

/* A program that waits and then leaves with a status of its own. */
static int waits_own(void)
{
    graceshut_t *gs = with_hook("{}");
    say("ready");
    OK(graceshut_wait(gs, GRACESHUT_FOREVER, NULL));
    return 8;
}

/* A program that does not care for the status: degraded still turns its 0 into 1. */
static int waits_degraded(void)
{
    graceshut_t *gs = with_hook("{}");
    hook(gs, "close", "bad", fails);
    say("ready");
    OK(graceshut_wait(gs, GRACESHUT_FOREVER, NULL));
    return 0;
}

static int wait_limit(void)
{
    graceshut_t *gs = with_hook("{}");
    int code = 77;
    FAILS(graceshut_wait(gs, 1000, &code), GRACESHUT_E_TIMEOUT);
    FAILS(graceshut_wait(gs, 0, &code), GRACESHUT_E_TIMEOUT);
    FAILS(graceshut_wait(gs, -2, &code), GRACESHUT_E_BAD_TIME);
    CHECK(code == 77);
    say("ready");
    OK(graceshut_wait(gs, INT64_MAX, &code));
    return code;
}

static int stops(void)
{
    graceshut_t *gs = with_hook("{}");
    int code = 77;
    char *report;
    OK(graceshut_stop(gs, "end of work", 0));
    OK(graceshut_wait(gs, GRACESHUT_FOREVER, &code));
    CHECK(graceshut_state(gs) == GRACESHUT_STOPPED);
    CHECK(graceshut_phase(gs) == NULL);
    report = graceshut_report_json(gs);
    CHECK(report && strstr(report, "end of work"));
    graceshut_string_free(report);
    FAILS(graceshut_hook(gs, "final", "x", named, NULL, NULL, NULL, NULL), GRACESHUT_E_TOO_LATE);
    FAILS(graceshut_uninstall(gs), GRACESHUT_E_TOO_LATE);
    return code;
}

static int exit_in_hook(graceshut_hook_fn f, int wait)
{
    graceshut_t *gs = install(NULL);
    int code = 0;
    hook(gs, "drain", "exits", f);
    hook(gs, "flush", "b", named);
    atexit(said_at_exit);
    say("ready");
    if (wait)
        OK(graceshut_wait(gs, GRACESHUT_FOREVER, &code));
    else
        idle();
    return code;
}
static int exit_in_hook_loop(void) { return exit_in_hook(exits3, 0); }
static int exit_in_hook_wait(void) { return exit_in_hook(exits3, 1); }
static int exit0_in_hook_wait(void) { return exit_in_hook(exits0, 1); }

/* Two hooks exit, and the program itself: nobody deadlocks, the first proposal that is not 0 counts. */
static int exit_in_hook_exit(void)
{
    graceshut_t *gs = install(NULL);
    hook(gs, "drain", "exits", exits3);
    hook(gs, "drain", "exits too", exits3);
    hook(gs, "flush", "b", named);
    exit(0);
}

static int hung(const char *json)
{
    graceshut_t *gs = install_json(json);
    graceshut_hook_options o = GRACESHUT_HOOK_OPTIONS_INIT;
    o.timeout_us = 300000;
    OK(graceshut_hook(gs, "drain", "hangs", hangs, NULL, NULL, &o, NULL));
    hook(gs, "flush", "b", named);
    say("ready");
    idle();
}
static int hung_hook(void) { return hung("{\"grace\": \"2s\"}"); }

static int hung_atexit_f(void) { return 0; }
static void hang_at_exit(void) { say("hung atexit"); idle(); }
static int hung_atexit(void)
{
    atexit(hang_at_exit);
    with_hook("{\"grace\": \"1s\"}");
    say("ready");
    return hung_atexit_f() + (pause(), 0);
}

/* A program that handles TERM itself and never leaves is made to. */
static void heard(int signo) { (void)signo; }
static int never_leaves(void)
{
    signal(SIGTERM, heard);
    with_hook("{\"grace\": \"1s\"}");
    say("ready");
    idle();
}

/* A binding that cannot ask says that the program may have a handler. */
static int may_handle(void)
{
    graceshut_t *gs = with_hook("{\"grace\": \"1s\"}");
    FAILS(graceshut_set_own_handler(gs, SIGTERM, 3), GRACESHUT_E_BAD_VALUE);
    FAILS(graceshut_set_own_handler(gs, SIGTERM, -1), GRACESHUT_E_BAD_VALUE);
    FAILS(graceshut_set_own_handler(gs, 99, 1), GRACESHUT_E_BAD_VALUE);
    FAILS(graceshut_set_own_handler(NULL, SIGTERM, 1), GRACESHUT_E_NULL);
    OK(graceshut_set_own_handler(gs, SIGTERM, 1));
    OK(graceshut_set_own_handler(gs, SIGTERM, 2));
    say("ready");
    idle();
}

static int slow_plan(const char *json)
{
    graceshut_t *gs = install_json(json);
    hook(gs, "drain", "slow", slow);
    hook(gs, "flush", "b", named);
    say("ready");
    idle();
}
static int slow_default(void) { return slow_plan("{\"grace\": \"20s\"}"); }
static int slow_interactive(void) { return slow_plan("{\"grace\": \"20s\", \"repeat\": \"interactive\"}"); }
static int slow_orchestrated(void) { return slow_plan("{\"grace\": \"3s\", \"repeat\": \"orchestrated\"}"); }

static int stuck_reserved(graceshut_ctx *ctx, void *data) { (void)ctx, (void)data; say("stuck"); idle(); }
static int third(void)
{
    graceshut_t *gs = install_json("{\"grace\": \"30s\"}");
    hook(gs, "drain", "slow", slow);
    hook(gs, "flush", "stuck", stuck_reserved);
    say("ready");
    idle();
}

/* Everything hangs: the deadline ends it, 128 + 15. */
static int deadline(void)
{
    graceshut_t *gs = install_json("{\"grace\": \"1s\"}");
    hook(gs, "drain", "hangs", hangs);
    hook(gs, "flush", "hangs", hangs);
    hook(gs, "close", "hangs", hangs);
    hook(gs, "final", "hangs", hangs);
    say("ready");
    idle();
}
static int deadline_stop(void)
{
    graceshut_t *gs = install_json("{\"grace\": \"1s\"}");
    hook(gs, "flush", "hangs", hangs);
    hook(gs, "final", "hangs", hangs);
    OK(graceshut_stop(gs, NULL, 0));
    idle();
}

static int normal_none(void)
{
    graceshut_t *gs = install_json("{\"grace\": \"300ms\", \"grace_normal\": \"none\"}");
    graceshut_hook_options o = GRACESHUT_HOOK_OPTIONS_INIT;
    OK(graceshut_hook(gs, "flush", "b", named, NULL, NULL, &o, NULL));
    hook(gs, "drain", "longer than the grace", slow);
    say("ready");
    return 0;
}

static int normal_short(void)
{
    graceshut_t *gs = install_json("{\"grace\": \"30s\", \"grace_normal\": \"1s\"}");
    hook(gs, "drain", "slow", slow);
    hook(gs, "flush", "b", named);
    return 0;
}

static int manual(void)
{
    graceshut_t *gs = install_manual();
    int code = 77;
    hook(gs, "flush", "b", named);
    say("ready");
    OK(graceshut_wait(gs, GRACESHUT_FOREVER, &code));
    say("code %d", code);
    OK(graceshut_uninstall(gs));
    graceshut_free(gs);
    return 21;
}

static int manual_return(void)
{
    hook(install_manual(), "flush", "b", named);
    return 22;
}

int main(int argc, char **argv)
{
    static const struct scenario list[] = {
        {"return0", return0}, {"return5", return5}, {"exit0", exit0}, {"exit3", exit3}, {"aborts", aborts},
        {"under_exit", under_exit}, {"quick", quick}, {"segv", segv}, {"degraded_exit0", degraded_exit0},
        {"degraded_exit4", degraded_exit4}, {"exit_in_thread", exit_in_thread}, {"loop", loop},
        {"teller_exit5", teller_exit5}, {"teller_return0", teller_return0}, {"teller_told", teller_told},
        {"proposed_exit", proposed_exit},
        {"loop_reraise", loop_reraise}, {"loop_codes", loop_codes}, {"loop_stdio", loop_stdio},
        {"loop_degraded", loop_degraded}, {"waits", waits}, {"waits_own", waits_own}, {"waits_degraded", waits_degraded},
        {"wait_limit", wait_limit}, {"stops", stops}, {"exit_in_hook_loop", exit_in_hook_loop},
        {"exit_in_hook_wait", exit_in_hook_wait}, {"exit0_in_hook_wait", exit0_in_hook_wait},
        {"exit_in_hook_exit", exit_in_hook_exit}, {"hung_hook", hung_hook}, {"hung_atexit", hung_atexit},
        {"never_leaves", never_leaves}, {"may_handle", may_handle}, {"slow_default", slow_default}, {"slow_interactive", slow_interactive},
        {"slow_orchestrated", slow_orchestrated}, {"third", third}, {"deadline", deadline},
        {"deadline_stop", deadline_stop}, {"normal_none", normal_none}, {"normal_short", normal_short},
        {"manual", manual}, {"manual_return", manual_return}, {NULL, NULL},
    };
    return run_scenario(list, argc, argv);
}
