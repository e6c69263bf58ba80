/* Handles and user data: destroyed exactly once on every path, closed after uninstall, closed after fork. */
#include "common.h"

static int freed[32];
static void count(void *data) { __atomic_add_fetch((int *)data, 1, __ATOMIC_SEQ_CST); }
static int counted(int i) { return __atomic_load_n(&freed[i], __ATOMIC_SEQ_CST); }

/* Waits for a count that another thread brings; the alarm bounds it. */
static void await(int i)
{
    while (counted(i) == 0)
        usleep(1000);
}

static int fine(graceshut_ctx *ctx, void *data) { (void)ctx, (void)data; return 0; }
static void event(const char *json, void *data) { (void)json, (void)data; }
static int reload(void *data) { (void)data; return 0; }
static void cancel(void *data) { (void)data; }

static void *finish_slowly(void *c)
{
    usleep(20000);
    CHECK(counted(4) == 0); /* alive while the completion is */
    OK(graceshut_completion_finish(c, 0, NULL));
    return NULL;
}

static void starts(graceshut_completion *c, void *data)
{
    pthread_t t;
    CHECK(data == &freed[4]);
    CHECK(pthread_create(&t, NULL, finish_slowly, c) == 0);
    pthread_detach(t);
}

static void finishes_inside(graceshut_completion *c, void *data)
{
    OK(graceshut_completion_finish(c, 0, NULL));
    CHECK(*(int *)data == 0); /* alive until the body returns */
}

static int fails(graceshut_ctx *ctx, void *data) { (void)ctx, (void)data; return 1; }

static int with_cancel(graceshut_ctx *ctx, void *data)
{
    (void)data;
    OK(graceshut_ctx_on_cancel(ctx, cancel, &freed[9], count));
    return 0;
}

static int run_hooks(void)
{
    graceshut_t *gs = install_manual();
    uint32_t id = 0;
    int i, code = 5;
    OK(graceshut_hook(gs, "flush", "ok", fine, &freed[0], count, NULL, NULL));
    OK(graceshut_hook(gs, "flush", "fails", fails, &freed[1], count, NULL, NULL));
    OK(graceshut_hook(gs, "flush", "removed", fine, &freed[2], count, NULL, &id));
    FAILS(graceshut_hook(gs, "nowhere", "refused", fine, &freed[3], count, NULL, NULL), GRACESHUT_E_UNKNOWN_PHASE);
    OK(graceshut_hook_start(gs, "flush", "later", starts, &freed[4], count, NULL, NULL));
    OK(graceshut_hook_start(gs, "flush", "inside", finishes_inside, &freed[5], count, NULL, NULL));
    OK(graceshut_on_event(gs, event, &freed[6], count));
    OK(graceshut_on_reload(gs, "r", reload, &freed[7], count));
    FAILS(graceshut_hook_start(gs, "nowhere", "refused", starts, &freed[8], count, NULL, NULL), GRACESHUT_E_UNKNOWN_PHASE);
    OK(graceshut_hook(gs, "close", "cancel", with_cancel, NULL, NULL, NULL, NULL));
    CHECK(counted(3) == 1 && counted(8) == 1 && counted(2) == 0);
    OK(graceshut_remove(gs, id, NULL));
    CHECK(counted(2) == 1);
    OK(graceshut_stop(gs, NULL, 0));
    OK(graceshut_wait(gs, GRACESHUT_FOREVER, &code));
    CHECK(code == 1);
    OK(graceshut_uninstall(gs));
    graceshut_free(gs);
    for (i = 0; i < 10; i++)
        await(i);
    for (i = 0; i < 10; i++)
        CHECK(counted(i) == 1);
    return 0;
}

static int unrun_hooks(void)
{
    graceshut_t *gs = install_manual();
    int i;
    OK(graceshut_hook(gs, "flush", "a", fine, &freed[0], count, NULL, NULL));
    OK(graceshut_hook(gs, "final", "b", fine, &freed[1], count, NULL, NULL));
    OK(graceshut_hook_start(gs, "flush", "c", starts, &freed[2], count, NULL, NULL));
    OK(graceshut_on_event(gs, event, &freed[3], count));
    OK(graceshut_on_reload(gs, "r", reload, &freed[5], count));
    CHECK(counted(0) + counted(1) + counted(2) + counted(3) == 0);
    OK(graceshut_uninstall(gs));
    await(3); /* a thread of its own may hold the last share of it */
    for (i = 0; i < 6; i++)
        CHECK(counted(i) == (i != 4));
    FAILS(graceshut_hook(gs, "flush", "late", fine, &freed[4], count, NULL, NULL), GRACESHUT_E_CLOSED);
    CHECK(counted(4) == 1);
    graceshut_free(gs);
    return 0;
}

static int closed(void)
{
    graceshut_t *gs = install_manual(), *again, *before = graceshut_current();
    struct sigaction term;
    OK(graceshut_uninstall(gs));
    sigaction(SIGTERM, NULL, &term);
    CHECK(term.sa_handler == SIG_DFL);
    CHECK(graceshut_current() == NULL);
    CHECK(graceshut_state(gs) == GRACESHUT_IDLE);
    FAILS(graceshut_uninstall(gs), GRACESHUT_E_CLOSED);
    SAYS("uninstalled");
    FAILS(graceshut_ready(before), GRACESHUT_E_CLOSED);
    FAILS(graceshut_stop(gs, NULL, 0), GRACESHUT_E_CLOSED);
    FAILS(graceshut_wait(gs, GRACESHUT_FOREVER, NULL), GRACESHUT_E_CLOSED);
    FAILS(graceshut_hook(gs, "flush", "x", fine, NULL, NULL, NULL, NULL), GRACESHUT_E_CLOSED);
    FAILS(graceshut_hook_start(gs, "flush", "x", starts, NULL, NULL, NULL, NULL), GRACESHUT_E_CLOSED);
    FAILS(graceshut_hook_json(gs, "{\"phase\": \"flush\", \"delay\": 1}", NULL), GRACESHUT_E_CLOSED);
    FAILS(graceshut_remove(gs, 0, NULL), GRACESHUT_E_CLOSED);
    FAILS(graceshut_on_event(gs, event, NULL, NULL), GRACESHUT_E_CLOSED);
    FAILS(graceshut_on_reload(gs, "x", reload, NULL, NULL), GRACESHUT_E_CLOSED);
    FAILS(graceshut_rearm(gs, SIGTERM, 0), GRACESHUT_E_CLOSED);
    FAILS(graceshut_host_end(gs, NULL, 0), GRACESHUT_E_CLOSED);
    again = install_manual(); /* a new generation */
    CHECK(graceshut_state(again) == GRACESHUT_ARMED);
    FAILS(graceshut_ready(gs), GRACESHUT_E_CLOSED);
    CHECK(graceshut_state(gs) == GRACESHUT_IDLE);
    OK(graceshut_ready(again));
    OK(graceshut_uninstall(again));
    graceshut_free(gs);
    graceshut_free(before);
    graceshut_free(again);
    return 0;
}

static int status_of(pid_t child)
{
    int status = 0;
    while (waitpid(child, &status, 0) < 0)
        CHECK(errno == EINTR);
    return status;
}

static int forks(void)
{
    graceshut_t *gs = install(NULL), *own;
    int code = 5, status;
    pid_t child;
    hook(gs, "flush", "parent's", named);

    /* The child dies of TERM as though graceshut had never been loaded. */
    child = fork();
    if (child == 0) {
        raise(SIGTERM);
        idle();
    }
    status = status_of(child);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);

    /* Its handles are closed, exit runs nothing of the parent's, and it may install for itself. */
    child = fork();
    if (child == 0) {
        CHECK(graceshut_state(gs) == GRACESHUT_IDLE);
        CHECK(graceshut_current() == NULL);
        FAILS(graceshut_ready(gs), GRACESHUT_E_CLOSED);
        SAYS("parent");
        FAILS(graceshut_hook(gs, "flush", "x", named, NULL, NULL, NULL, NULL), GRACESHUT_E_CLOSED);
        FAILS(graceshut_wait(gs, 0, NULL), GRACESHUT_E_CLOSED);
        graceshut_free(gs);
        exit(12);
    }
    status = status_of(child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 12);

    child = fork();
    if (child == 0) {
        own = install(NULL);
        hook(own, "flush", "child's", named);
        raise(SIGTERM);
        OK(graceshut_wait(own, GRACESHUT_FOREVER, &code));
        exit(code);
    }
    status = status_of(child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CHECK(graceshut_state(gs) == GRACESHUT_ARMED);
    say("ready");
    idle();
}

static int self_checked(int (*f)(void))
{
    int r = f();
    say("ok");
    return r;
}
static int c_run(void) { return self_checked(run_hooks); }
static int c_unrun(void) { return self_checked(unrun_hooks); }
static int c_closed(void) { return self_checked(closed); }

int main(int argc, char **argv)
{
    static const struct scenario list[] = {
        {"run_hooks", c_run}, {"unrun_hooks", c_unrun}, {"closed", c_closed}, {"forks", forks}, {NULL, NULL},
    };
    return run_scenario(list, argc, argv);
}
