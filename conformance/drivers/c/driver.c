/* Plays conformance scenarios through graceshut.h: install, hooks, main, and the control pipe. */
#include "driver.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST = 256, LINE = 4096 };

graceshut_t *gs;
static int trace_fd;
static hook hooks[MOST];
static atomic_int hook_count;
const json *scenario;

/* Acts that only main can do. */
static const json *for_main;
static pthread_mutex_t main_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t main_wakes = PTHREAD_COND_INITIALIZER;

void trace(const char *what, const char *name, const char *fields)
{
    char line[LINE], *quoted = json_quote(name);
    int n = name ? snprintf(line, sizeof line, "{\"what\":\"%s\",\"name\":%s%s}\n", what, quoted, fields)
                 : snprintf(line, sizeof line, "{\"what\":\"%s\"%s}\n", what, fields);
    free(quoted);
    while (write(trace_fd, line, (size_t)n) < 0 && errno == EINTR)
        ;
}

void trace_error(const char *name, int code)
{
    char fields[128];
    snprintf(fields, sizeof fields, ",\"kind\":\"%s\"", graceshut_error_name(code));
    trace("error", name, fields);
}

int install(const json *options, graceshut_t **out)
{
    graceshut_options o = GRACESHUT_OPTIONS_INIT;
    char *text = strndup(options->raw, options->raw_len);
    int code;
    o.json = text;
    code = graceshut_install(&o, out);
    free(text);
    return code;
}

void tell_cancel(void *self)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    hook *h = self;
    /* Written when either caller returns: the end that follows must not overtake it. */
    pthread_mutex_lock(&lock);
    if (!h->cancel_told)
        trace("cancel", h->name, "");
    h->cancel_told = 1;
    pthread_mutex_unlock(&lock);
}

/* The first thing a body does: what its context says. */
static void begin(hook *h, graceshut_ctx *ctx)
{
    char fields[LINE], *reason = graceshut_ctx_reason(ctx), *abandoned = graceshut_ctx_abandoned(ctx);
    char *words = strstr(reason, ": "), remaining[32] = "null", signo[16] = "null";
    char *phase = json_quote(graceshut_ctx_phase(ctx)), *name = json_quote(graceshut_ctx_name(ctx)), *message;
    int64_t left = graceshut_ctx_remaining_us(ctx);
    if (words) {
        *words = 0;
        words += 2;
    }
    message = json_quote(words);
    if (left >= 0)
        snprintf(remaining, sizeof remaining, "%ld", (long)left);
    if (graceshut_ctx_signal(ctx))
        snprintf(signo, sizeof signo, "%d", graceshut_ctx_signal(ctx));
    snprintf(fields, sizeof fields,
             ",\"phase\":%s,\"context_name\":%s,\"reason\":\"%s\",\"signal\":%s,\"message\":%s,\"remaining_us\":%s,"
             "\"cancelled\":%s,\"abandoned\":%s",
             phase, name, reason, signo, message, remaining, graceshut_ctx_cancelled(ctx) ? "true" : "false", abandoned);
    trace("start", h->name, fields);
    graceshut_ctx_on_cancel(ctx, tell_cancel, h, NULL);
    graceshut_string_free(reason);
    graceshut_string_free(abandoned);
    free(phase), free(name), free(message);
}

static int run_sync(graceshut_ctx *ctx, void *data)
{
    place at = {data, ctx};
    begin(at.hook, ctx);
    return play(json_get(at.hook->spec, "steps"), &at);
}

struct later {
    hook *hook;
    graceshut_completion *completion;
};

static void *run_later(void *data)
{
    struct later *l = data;
    place at = {l->hook, graceshut_completion_context(l->completion)};
    begin(at.hook, at.ctx);
    graceshut_completion_finish(l->completion, play(json_get(at.hook->spec, "steps"), &at), NULL);
    free(l);
    return NULL;
}

static void run_async(graceshut_completion *completion, void *data)
{
    struct later *l = malloc(sizeof *l);
    pthread_t thread;
    *l = (struct later){data, completion};
    pthread_create(&thread, NULL, run_later, l);
    pthread_detach(thread);
}

hook *find_hook(const char *name)
{
    int i = atomic_load(&hook_count);
    while (i-- > 0)
        if (!strcmp(hooks[i].name, name))
            return &hooks[i];
    return NULL;
}

/* A kind that needs no code, as graceshut_hook_json takes it. */
static int add_declared(const json *spec, const json *kind, uint32_t *id)
{
    char text[LINE];
    const json *after = json_get(spec, "after"), *phase = json_get(spec, "phase"), *name = json_get(spec, "name");
    long timeout = json_number(spec, "timeout_ms", 0);
    int n = snprintf(text, sizeof text, "{\"phase\":%.*s,\"name\":%.*s,\"optional\":%s,\"%s\":%.*s", (int)phase->raw_len,
                     phase->raw, (int)name->raw_len, name->raw, json_number(spec, "optional", 0) ? "true" : "false",
                     kind->key, (int)kind->raw_len, kind->raw);
    if (after && after->first)
        n += snprintf(text + n, sizeof text - (size_t)n, ",\"after\":%.*s", (int)after->raw_len, after->raw);
    if (timeout)
        n += snprintf(text + n, sizeof text - (size_t)n, ",\"timeout\":%ld", timeout * 1000);
    snprintf(text + n, sizeof text - (size_t)n, "}");
    return graceshut_hook_json(gs, text, id);
}

static int add_function(hook *h)
{
    graceshut_hook_options options = GRACESHUT_HOOK_OPTIONS_INIT;
    const char *names[16], *phase = json_text(h->spec, "phase"), *form = json_text(h->spec, "form");
    const json *after = json_get(h->spec, "after");
    options.after = names;
    for (const json *name = after ? after->first : NULL; name; name = name->next)
        names[options.after_len++] = name->text;
    options.timeout_us = json_number(h->spec, "timeout_ms", 0) * 1000;
    options.flags = json_number(h->spec, "optional", 0) ? GRACESHUT_HOOK_OPTIONAL : 0;
    if (!strcmp(form, "async"))
        return graceshut_hook_start(gs, phase, h->name, run_async, h, NULL, &options, &h->id);
    return graceshut_hook(gs, phase, h->name, run_sync, h, NULL, &options, &h->id);
}

/* Registers a hook; one that is registered while the program runs says so. */
static int add(const json *spec)
{
    static const char *const kinds[] = {"exec", "http", "delay", "inflight", "signal", "wasm"};
    hook *h = &hooks[atomic_fetch_add(&hook_count, 1)];
    const json *kind = NULL;
    int error;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds && !kind; i++)
        kind = json_get(spec, kinds[i]);
    h->spec = spec;
    h->name = json_text(spec, "name");
    error = kind ? add_declared(spec, kind, &h->id) : add_function(h);
    if (error)
        trace_error(h->name, error);
    return error;
}

void add_hook(const json *spec)
{
    if (!add(spec))
        trace("registered", json_text(spec, "name"), "");
}

static int run_reload(void *data)
{
    place at = {NULL, NULL};
    trace("reload", json_text(data, "name"), "");
    return play(json_get(data, "steps"), &at);
}

static void on_event(const char *text, void *data)
{
    const json *event = json_parse(text), *watched = data;
    const char *word = json_text(event, "event");
    for (watched = watched->first; watched; watched = watched->next) {
        char fields[LINE / 2], *hook_name, *message;
        if (strcmp(watched->text, word))
            continue;
        hook_name = json_quote(json_text(event, "hook"));
        message = json_quote(json_text(event, "message"));
        snprintf(fields, sizeof fields, ",\"hook\":%s,\"message\":%s,\"done\":%ld,\"total\":%ld", hook_name, message,
                 json_number(event, "value", 0), json_number(event, "total", 0));
        free(hook_name), free(message);
        trace("event", word, fields);
    }
}

static int is_mains(const char *word)
{
    return !strcmp(word, "return") || !strcmp(word, "exit") || !strcmp(word, "raise") || !strcmp(word, "hold");
}

/* One line, byte by byte: a FILE that a thread reads is locked, and exit would wait for it. */
static int read_line(int fd, char *line)
{
    int n = 0;
    while (n < LINE - 1 && read(fd, line + n, 1) == 1)
        if (line[n++] == '\n') {
            line[n] = 0;
            return 1;
        }
    return 0;
}

void to_main(const json *act)
{
    pthread_mutex_lock(&main_lock);
    for_main = act;
    pthread_cond_signal(&main_wakes);
    pthread_mutex_unlock(&main_lock);
}

static void *read_control(void *data)
{
    char line[LINE];
    while (read_line(*(int *)data, line)) {
        const json *act = json_parse(strdup(line));
        place at = {NULL, NULL};
        if (!is_mains(json_text(act, "do"))) {
            play_act(act, &at);
            continue;
        }
        to_main(act);
    }
    return NULL;
}

/* Never calls wait: blocks, and returns when it is told to. */
static int idle(void)
{
    place at = {NULL, NULL};
    for (;;) {
        const json *act;
        pthread_mutex_lock(&main_lock);
        while (!for_main)
            pthread_cond_wait(&main_wakes, &main_lock);
        act = for_main;
        for_main = NULL;
        pthread_mutex_unlock(&main_lock);
        if (!strcmp(json_text(act, "do"), "return")) {
            trace("return", NULL, "");
            return 0;
        }
        play_act(act, &at);
    }
}

static char *read_file(const char *path)
{
    FILE *file = fopen(path, "r");
    char *text = NULL;
    size_t size = 0;
    if (!file || getdelim(&text, &size, 0, file) < 0)
        exit(3);
    fclose(file);
    return text;
}

static void register_all(void)
{
    const json *watched = json_get(scenario, "watch_events");
    if (watched->first)
        graceshut_on_event(gs, on_event, (void *)watched, NULL);
    for (const json *r = json_get(scenario, "reloads")->first; r; r = r->next)
        graceshut_on_reload(gs, json_text(r, "name"), run_reload, (void *)r, NULL);
    for (const json *h = json_get(scenario, "hooks")->first; h; h = h->next)
        add(h);
}

int main(void)
{
    static int control_fd;
    pthread_t control;
    place at = {NULL, NULL};
    int code = 1, error;
    trace_fd = atoi(getenv("CONFORMANCE_TRACE_FD"));
    control_fd = atoi(getenv("CONFORMANCE_CONTROL_FD"));
    scenario = json_parse(read_file(getenv("CONFORMANCE_SCENARIO")));
    if ((error = install(json_get(scenario, "options"), &gs))) {
        trace_error("install", error);
        return 3;
    }
    register_all();
    pthread_create(&control, NULL, read_control, &control_fd);
    play(json_get(scenario, "before"), &at);
    trace("ready", NULL, "");
    if (!strcmp(json_text(scenario, "main"), "idle"))
        return idle();
    if ((error = graceshut_wait(gs, GRACESHUT_FOREVER, &code)))
        trace_error("wait", error);
    else {
        char fields[32];
        snprintf(fields, sizeof fields, ",\"code\":%d", code);
        trace("waited", NULL, fields);
    }
    play(json_get(scenario, "after_wait"), &at);
    return code;
}
