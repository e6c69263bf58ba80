/* What a program can be told to do. */
#include "driver.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 64 };
static struct { const char *name; graceshut_page *page; } units[MOST];
static int unit_count;
static pthread_mutex_t units_lock = PTHREAD_MUTEX_INITIALIZER;

static void keep(const char *name, graceshut_page *page)
{
    pthread_mutex_lock(&units_lock);
    units[unit_count].name = name;
    units[unit_count++].page = page;
    pthread_mutex_unlock(&units_lock);
    trace("entered", name, "");
}

static graceshut_page *page_of(const char *name)
{
    graceshut_page *page = NULL;
    pthread_mutex_lock(&units_lock);
    for (int i = 0; i < unit_count; i++)
        if (!strcmp(units[i].name, name))
            page = units[i].page;
    pthread_mutex_unlock(&units_lock);
    return page;
}

void sleep_ms(long ms)
{
    struct timespec left = {ms / 1000, ms % 1000 * 1000000};
    while (nanosleep(&left, &left) != 0)
        ;
}

static void spin(long ms)
{
    struct timespec from, now;
    volatile unsigned n = 0;
    clock_gettime(CLOCK_MONOTONIC, &from);
    do {
        for (int i = 0; i < 10000; i++)
            n++;
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while ((now.tv_sec - from.tv_sec) * 1000 + (now.tv_nsec - from.tv_nsec) / 1000000 < ms);
}

static void number_field(const char *what, const char *name, const char *key, long value)
{
    char fields[64];
    snprintf(fields, sizeof fields, ",\"%s\":%ld", key, value);
    trace(what, name, fields);
}

static int fail(place *at, const char *message)
{
    if (at->ctx)
        graceshut_ctx_set_error(at->ctx, message);
    return 1;
}

static int pause_act(const char *word, long ms, place *at)
{
    if (!strcmp(word, "sleep") && at->ctx) {
        if (!graceshut_ctx_wait_cancelled(at->ctx, ms * 1000))
            return GO_ON;
        tell_cancel(at->hook);
        return GRACESHUT_CANCELLED;
    }
    if (!strcmp(word, "until_cancelled")) {
        if (graceshut_ctx_wait_cancelled(at->ctx, ms * 1000))
            tell_cancel(at->hook);
    } else if (!strcmp(word, "spin")) {
        spin(ms);
    } else {
        sleep_ms(ms);
    }
    return GO_ON;
}

static int work_act(const char *word, const json *act)
{
    const char *as = json_text(act, "as"), *of = json_text(act, "of"), *group = json_text(act, "group");
    if (!strcmp(word, "enter")) {
        graceshut_page *page = graceshut_inflight_page(group);
        if (graceshut_enter(page))
            keep(as, page);
        else
            trace("refused", as, "");
    } else if (!strcmp(word, "part")) {
        graceshut_page *page = page_of(of);
        graceshut_enter_part(page);
        keep(as, page);
    } else if (!strcmp(word, "leave")) {
        trace("left", of, "");
        graceshut_leave(page_of(of));
    } else if (!strcmp(word, "count")) {
        uint32_t n = 0;
        graceshut_inflight_count(group, &n);
        number_field("count", NULL, "value", n);
    } else {
        graceshut_page *page = graceshut_inflight_page(NULL);
        number_field("word", NULL, "value", graceshut_draining(page) ? 2 : graceshut_stopping(page));
    }
    return GO_ON;
}

static int runtime_act(const char *word, const json *act, place *at)
{
    static const char *const states[] = {"idle", "armed", "stopping", "stopped"};
    int error = 0;
    if (!strcmp(word, "stop")) {
        trace("stop", NULL, "");
        error = graceshut_stop(gs, json_text(act, "reason"), json_number(act, "grace_ms", 0) * 1000);
        /* 0 means "not said" in C: a grace that was said to be 0 is the bad time it would be elsewhere. */
    } else if (!strcmp(word, "register")) {
        add_hook(json_get(act, "hook"));
    } else if (!strcmp(word, "state")) {
        trace("state", states[graceshut_state(gs)], "");
    } else if (!strcmp(word, "ready")) {
        graceshut_ready(gs);
    } else if (!strcmp(word, "install")) {
        graceshut_t *other = NULL;
        const json *options = json_get(act, "options");
        int code = install(options ? options : json_get(scenario, "options"), &other);
        if (code)
            trace_error("install", code);
        else
            gs = other, trace("installed", NULL, "");
    } else if (!strcmp(word, "uninstall")) {
        if (!(error = graceshut_uninstall(gs)))
            trace("uninstalled", NULL, "");
    } else if (!strcmp(word, "wait")) {
        int code;
        error = graceshut_wait(gs, GRACESHUT_FOREVER, &code);
    }
    (void)at;
    if (error)
        trace_error(word, error);
    return GO_ON;
}

extern hook *find_hook(const char *name);

static void remove_act(const char *name)
{
    static const char *const answers[] = {"removed", "running", "done"};
    int answer = 0, error = graceshut_remove(gs, find_hook(name)->id, &answer);
    char fields[64];
    if (error) {
        trace_error(name, error);
        return;
    }
    snprintf(fields, sizeof fields, ",\"answer\":\"%s\"", answers[answer]);
    trace("removed", name, fields);
}

static int context_act(const char *word, const json *act, place *at)
{
    const char *name = at->hook ? at->hook->name : NULL;
    if (!strcmp(word, "extend")) {
        number_field("extended", name, "granted_us", graceshut_ctx_extend(at->ctx, json_number(act, "ms", 0) * 1000));
    } else if (!strcmp(word, "progress")) {
        graceshut_ctx_progress(at->ctx, (uint64_t)json_number(act, "done", 0), (uint64_t)json_number(act, "total", 0));
    } else if (!strcmp(word, "log")) {
        graceshut_ctx_log(at->ctx, json_text(act, "message"));
    } else if (!strcmp(word, "remaining")) {
        number_field("remaining", name, "us", (long)graceshut_ctx_remaining_us(at->ctx));
    } else {
        char *names = graceshut_ctx_abandoned(at->ctx), fields[1024];
        snprintf(fields, sizeof fields, ",\"names\":%s", names);
        graceshut_string_free(names);
        trace("abandoned", name, fields);
    }
    return GO_ON;
}

/* Which signals this process catches, by the kernel's word. */
static void caught_act(const char *name)
{
    char line[256], value[64] = "", fields[128];
    FILE *status = fopen("/proc/self/status", "r");
    while (status && fgets(line, sizeof line, status))
        if (sscanf(line, "SigCgt: %63s", value) == 1)
            break;
    if (status)
        fclose(status);
    snprintf(fields, sizeof fields, ",\"value\":\"%s\"", value);
    trace("caught", name, fields);
}

/* A handler of the program's own: it says so to a pipe, whose reader has main return later. */
static int heard[2];

static void on_term(int signo)
{
    char byte = (char)signo;
    if (write(heard[1], &byte, 1) < 0)
        _exit(99);
}

static void *after_handler(void *data)
{
    const json *act = data;
    char byte;
    if (read(heard[0], &byte, 1) == 1)
        trace("handled", NULL, "");
    if (json_number(act, "ms", 0) > 0) {
        usleep((useconds_t)json_number(act, "ms", 0) * 1000);
        to_main(json_parse(strdup("{\"do\":\"return\"}")));
    }
    return NULL;
}

static void handle_act(const json *act)
{
    pthread_t thread;
    struct sigaction action = {0};
    action.sa_handler = on_term;
    if (pipe(heard) || sigaction(SIGTERM, &action, NULL) || pthread_create(&thread, NULL, after_handler, (void *)act))
        exit(3);
}

static int one_of(const char *word, const char *const *words)
{
    while (*words && strcmp(word, *words))
        words++;
    return *words != NULL;
}

static void end_by_exit(place *at, int code)
{
    trace("exit", NULL, "");
    if (at->hook)
        trace("end", at->hook->name, ",\"how\":\"exit\",\"message\":null");
    exit(code);
}

int play_act(const json *act, place *at)
{
    static const char *const pauses[] = {"sleep", "sleep_through", "until_cancelled", "spin", "block", NULL};
    static const char *const work[] = {"enter", "part", "leave", "count", "word", NULL};
    static const char *const context[] = {"extend", "progress", "log", "remaining", "abandoned", NULL};
    const char *word = json_text(act, "do");
    if (!strcmp(word, "mark"))
        return trace("mark", json_text(act, "name"), ""), GO_ON;
    if (!strcmp(word, "caught"))
        return caught_act(json_text(act, "name")), GO_ON;
    if (one_of(word, pauses))
        return pause_act(word, json_number(act, "ms", 0), at);
    if (one_of(word, work))
        return work_act(word, act);
    if (one_of(word, context))
        return context_act(word, act, at);
    if (!strcmp(word, "never"))
        for (;;)
            pause();
    if (!strcmp(word, "fail"))
        return fail(at, json_text(act, "message"));
    if (!strcmp(word, "cancelled"))
        return GRACESHUT_CANCELLED;
    if (!strcmp(word, "exit"))
        end_by_exit(at, (int)json_number(act, "code", 0));
    if (!strcmp(word, "fatal")) {
        trace("fatal", NULL, "");
        if (!strcmp(json_text(act, "how"), "abort"))
            abort();
        _exit(4);
    }
    if (!strcmp(word, "handle"))
        return handle_act(act), GO_ON;
    if (!strcmp(word, "remove"))
        return remove_act(json_text(act, "name")), GO_ON;
    return runtime_act(word, act, at);
}

int play(const json *acts, place *at)
{
    for (const json *act = acts ? acts->first : NULL; act; act = act->next) {
        int end = play_act(act, at);
        if (end != GO_ON) {
            char *message = json_quote(end == 1 ? json_text(act, "message") : NULL), fields[2048];
            snprintf(fields, sizeof fields, ",\"how\":\"%s\",\"message\":%s", end == 1 ? "failed" : "cancelled", message);
            free(message);
            if (at->hook)
                trace("end", at->hook->name, fields);
            return end;
        }
    }
    if (at->hook)
        trace("end", at->hook->name, ",\"how\":\"ok\",\"message\":null");
    return 0;
}
