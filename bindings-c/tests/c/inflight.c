/* Work in flight: threads that enter and leave by the inline functions while a drain waits. */
#include "common.h"

#define THREADS 8

static graceshut_page *page, *group;
static int accepted, finished, refused_threads;

static void *worker(void *data)
{
    (void)data;
    for (;;) {
        if (!graceshut_enter(page)) {
            CHECK(graceshut_draining(page) && graceshut_stopping(page));
            __atomic_add_fetch(&refused_threads, 1, __ATOMIC_SEQ_CST);
            return NULL;
        }
        __atomic_add_fetch(&accepted, 1, __ATOMIC_SEQ_CST);
        usleep(2000);
        __atomic_add_fetch(&finished, 1, __ATOMIC_SEQ_CST);
        graceshut_leave(page);
    }
}

static int announced(graceshut_ctx *ctx, void *data)
{
    (void)ctx, (void)data;
    CHECK(graceshut_stopping(page) && !graceshut_draining(page));
    CHECK(graceshut_stopping(group));
    CHECK(graceshut_enter(group)); /* still served while announced */
    graceshut_leave(group);
    return 0;
}

/* In flush nothing is in flight any more: what was accepted was finished. */
static int flushes(graceshut_ctx *ctx, void *data)
{
    uint32_t n = 99;
    (void)ctx, (void)data;
    OK(graceshut_inflight_count(NULL, &n));
    CHECK(n == 0);
    CHECK(__atomic_load_n(&accepted, __ATOMIC_SEQ_CST) == __atomic_load_n(&finished, __ATOMIC_SEQ_CST));
    CHECK(!graceshut_enter(page));
    say("accepted %s", accepted > 0 ? "some" : "none");
    return 0;
}

static int threads(void)
{
    graceshut_t *gs = install(NULL);
    pthread_t t;
    int i;
    page = graceshut_inflight_page(NULL);
    group = graceshut_inflight_page("sessions");
    CHECK(page && group && page != group);
    CHECK(graceshut_inflight_page("") == page && graceshut_inflight_page("sessions") == group);
    hook(gs, "announce", "announced", announced);
    hook(gs, "flush", "flushes", flushes);
    for (i = 0; i < THREADS; i++)
        CHECK(pthread_create(&t, NULL, worker, NULL) == 0);
    say("ready");
    idle();
}

static void *leaves_later(void *data)
{
    (void)data;
    while (!graceshut_draining(page))
        usleep(1000);
    graceshut_enter_part(page); /* a part of accepted work is never refused */
    graceshut_leave(page);
    usleep(100000);
    say("left");
    graceshut_leave(page); /* on another thread than it entered */
    return NULL;
}

static int one(void)
{
    graceshut_t *gs = install(NULL);
    pthread_t t;
    uint32_t n = 0;
    page = graceshut_inflight_page(NULL);
    CHECK(graceshut_enter(page));
    OK(graceshut_inflight_count(NULL, &n));
    CHECK(n == 1);
    hook(gs, "flush", "b", named);
    CHECK(pthread_create(&t, NULL, leaves_later, NULL) == 0);
    say("ready");
    idle();
}

/* Work that never leaves holds drain up no longer than its time. */
static int leak(void)
{
    graceshut_t *gs = install_json("{\"grace\": \"1500ms\"}");
    page = graceshut_inflight_page(NULL);
    CHECK(graceshut_enter(page));
    hook(gs, "flush", "b", named);
    say("ready");
    idle();
}

/* The layout of the header, read with nothing but the header. */
static int layout(void)
{
    const uint32_t *words;
    char name[32];
    int i;
    page = graceshut_inflight_page(NULL);
    words = (const uint32_t *)(void *)page;
    CHECK(words[0] == 0x46495347u && words[1] == 1 && words[3] == 128 && words[4] == 128 && words[16] == 0);
    CHECK(words[2] >= 2 && (words[2] & (words[2] - 1)) == 0);
    CHECK(((uintptr_t)page & 63) == 0);
    for (i = 0; i < 64; i++) {
        snprintf(name, sizeof name, "group %d", i);
        CHECK(graceshut_inflight_page(name) != NULL);
    }
    CHECK(graceshut_inflight_page("one too many") == NULL);
    SAYS("64");
    say("ok");
    return 0;
}

int main(int argc, char **argv)
{
    static const struct scenario list[] = {{"threads", threads}, {"one", one}, {"leak", leak}, {"layout", layout}, {NULL, NULL}};
    return run_scenario(list, argc, argv);
}
