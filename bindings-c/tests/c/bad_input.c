/* Every public call with what it must refuse: a number, words a user can act on, and nothing else happens. */
#include "common.h"

static int never_called(graceshut_ctx *ctx, void *data) { (void)ctx, (void)data; say("FAIL called"); return 1; }
static void never_started(graceshut_completion *c, void *data) { (void)c, (void)data; say("FAIL started"); }
static void no_event(const char *json, void *data) { (void)json, (void)data; }
static int no_reload(void *data) { (void)data; return 0; }
static void count(void *data) { ++*(int *)data; }

#define BAD "\xff\xfe"

static int nulls(void)
{
    graceshut_t *gs = install_manual(), *none = NULL;
    uint32_t n = 7;
    int freed = 0;
    FAILS(graceshut_install(NULL, NULL), GRACESHUT_E_NULL);
    SAYS("out is null");
    FAILS(graceshut_uninstall(none), GRACESHUT_E_NULL);
    FAILS(graceshut_ready(none), GRACESHUT_E_NULL);
    FAILS(graceshut_set_serving(none, 1), GRACESHUT_E_NULL);
    FAILS(graceshut_stop(none, NULL, 0), GRACESHUT_E_NULL);
    FAILS(graceshut_wait(none, 0, NULL), GRACESHUT_E_NULL);
    FAILS(graceshut_host_end(none, NULL, 0), GRACESHUT_E_NULL);
    FAILS(graceshut_host_closed(none), GRACESHUT_E_NULL);
    FAILS(graceshut_rearm(none, SIGTERM, 0), GRACESHUT_E_NULL);
    FAILS(graceshut_remove(none, 0, NULL), GRACESHUT_E_NULL);
    FAILS(graceshut_hook_json(none, "{}", NULL), GRACESHUT_E_NULL);
    FAILS(graceshut_hook_json(gs, NULL, NULL), GRACESHUT_E_NULL);
    SAYS("json is null");
    FAILS(graceshut_inflight_count(NULL, NULL), GRACESHUT_E_NULL);
    CHECK(graceshut_state(none) == GRACESHUT_IDLE);
    CHECK(!graceshut_phase(none) && !graceshut_report_json(none) && !graceshut_plan_text(none));
    CHECK(!graceshut_config_json(none) && !graceshut_status(none));
    graceshut_free(none);
    graceshut_string_free(NULL);

    FAILS(graceshut_hook(none, "flush", "x", never_called, &freed, count, NULL, &n), GRACESHUT_E_NULL);
    FAILS(graceshut_hook(gs, NULL, "x", never_called, &freed, count, NULL, &n), GRACESHUT_E_NULL);
    SAYS("phase is null");
    FAILS(graceshut_hook(gs, "flush", NULL, never_called, &freed, count, NULL, &n), GRACESHUT_E_NULL);
    SAYS("name is null");
    FAILS(graceshut_hook(gs, "flush", "x", NULL, &freed, count, NULL, &n), GRACESHUT_E_NULL);
    SAYS("callback is null");
    FAILS(graceshut_hook_start(none, "flush", "x", never_started, &freed, count, NULL, &n), GRACESHUT_E_NULL);
    FAILS(graceshut_hook_start(gs, "flush", "x", NULL, &freed, count, NULL, &n), GRACESHUT_E_NULL);
    FAILS(graceshut_on_event(none, no_event, &freed, count), GRACESHUT_E_NULL);
    FAILS(graceshut_on_event(gs, NULL, &freed, count), GRACESHUT_E_NULL);
    FAILS(graceshut_on_reload(none, "x", no_reload, &freed, count), GRACESHUT_E_NULL);
    FAILS(graceshut_on_reload(gs, NULL, no_reload, &freed, count), GRACESHUT_E_NULL);
    FAILS(graceshut_on_reload(gs, "x", NULL, &freed, count), GRACESHUT_E_NULL);
    FAILS(graceshut_ctx_on_cancel(NULL, NULL, &freed, count), GRACESHUT_E_NULL);
    CHECK(freed == 12); /* each refused registration destroyed its data, once */
    CHECK(n == 7);      /* outputs are written only on success */

    CHECK(graceshut_ctx_remaining_us(NULL) == -1 && graceshut_ctx_cancelled(NULL) == 0);
    CHECK(graceshut_ctx_wait_cancelled(NULL, 1) == 0 && graceshut_ctx_extend(NULL, 1) == 0);
    CHECK(!graceshut_ctx_name(NULL) && !graceshut_ctx_phase(NULL) && !graceshut_ctx_reason(NULL));
    CHECK(!graceshut_ctx_abandoned(NULL) && graceshut_ctx_signal(NULL) == 0 && graceshut_ctx_begin(NULL) == 0);
    FAILS(graceshut_ctx_log(NULL, "x"), GRACESHUT_E_NULL);
    FAILS(graceshut_ctx_progress(NULL, 1, 2), GRACESHUT_E_NULL);
    FAILS(graceshut_ctx_set_error(NULL, "x"), GRACESHUT_E_NULL);
    CHECK(graceshut_completion_context(NULL) == NULL);
    FAILS(graceshut_completion_finish(NULL, 0, NULL), GRACESHUT_E_NULL);
    CHECK(graceshut_enter(NULL) == 1 && !graceshut_stopping(NULL) && !graceshut_draining(NULL));
    graceshut_leave(NULL);
    graceshut_enter_part(NULL);
    OK(graceshut_uninstall(gs));
    graceshut_free(gs);
    return 0;
}

static int times(void)
{
    graceshut_options o = GRACESHUT_OPTIONS_INIT;
    graceshut_hook_options h = GRACESHUT_HOOK_OPTIONS_INIT;
    graceshut_t *gs = (graceshut_t *)1;
    static const int64_t bad[] = {-1, -1000000, INT64_MIN, 1, 199999, INT64_MAX, 367LL * 86400 * 1000000};
    size_t i;
    for (i = 0; i < sizeof bad / sizeof *bad; i++) {
        o.grace_us = bad[i];
        FAILS(graceshut_install(&o, &gs), GRACESHUT_E_BAD_TIME);
        CHECK(strlen(graceshut_last_error()) > 20);
        CHECK(gs == (graceshut_t *)1);
    }
    CHECK(graceshut_current() == NULL);
    SAYS("nothing is installed");
    gs = install_manual();
    for (i = 0; i < sizeof bad / sizeof *bad; i++) {
        FAILS(graceshut_stop(gs, NULL, bad[i]), GRACESHUT_E_BAD_TIME);
        if (bad[i] > 0 && bad[i] < 1000000)
            continue; /* a short timeout is fine */
        h.timeout_us = bad[i];
        FAILS(graceshut_hook(gs, "flush", "x", never_called, NULL, NULL, &h, NULL), GRACESHUT_E_BAD_TIME);
    }
    FAILS(graceshut_wait(gs, -2, NULL), GRACESHUT_E_BAD_TIME);
    FAILS(graceshut_wait(gs, INT64_MIN, NULL), GRACESHUT_E_BAD_TIME);
    FAILS(graceshut_hook_json(gs, "{\"phase\": \"flush\", \"delay\": -5}", NULL), GRACESHUT_E_BAD_TIME);
    FAILS(graceshut_hook_json(gs, "{\"phase\": \"flush\", \"delay\": 1e300}", NULL), GRACESHUT_E_BAD_TIME);
    CHECK(graceshut_state(gs) == GRACESHUT_ARMED);
    OK(graceshut_uninstall(gs));
    graceshut_free(gs);
    return 0;
}

static int text(void)
{
    graceshut_options o = GRACESHUT_OPTIONS_INIT;
    graceshut_t *gs = NULL;
    char longer[300];
    uint32_t n;
    o.report = BAD;
    FAILS(graceshut_install(&o, &gs), GRACESHUT_E_NOT_UTF8);
    SAYS("options.report");
    o.report = NULL;
    o.json = BAD;
    FAILS(graceshut_install(&o, &gs), GRACESHUT_E_NOT_UTF8);
    gs = install_manual();
    FAILS(graceshut_hook(gs, BAD, "x", never_called, NULL, NULL, NULL, NULL), GRACESHUT_E_NOT_UTF8);
    FAILS(graceshut_hook(gs, "flush", BAD, never_called, NULL, NULL, NULL, NULL), GRACESHUT_E_NOT_UTF8);
    FAILS(graceshut_stop(gs, BAD, 0), GRACESHUT_E_NOT_UTF8);
    FAILS(graceshut_hook_json(gs, BAD, NULL), GRACESHUT_E_NOT_UTF8);
    FAILS(graceshut_on_reload(gs, BAD, no_reload, NULL, NULL), GRACESHUT_E_NOT_UTF8);
    FAILS(graceshut_on_reload(gs, "", no_reload, NULL, NULL), GRACESHUT_E_BAD_VALUE);
    FAILS(graceshut_host_end(gs, BAD, 0), GRACESHUT_E_NOT_UTF8);
    CHECK(graceshut_inflight_page(BAD) == NULL);
    FAILS(graceshut_inflight_count(BAD, &n), GRACESHUT_E_NOT_UTF8);
    FAILS(graceshut_hook(gs, "flush", "", never_called, NULL, NULL, NULL, NULL), GRACESHUT_E_BAD_VALUE);
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = 0;
    FAILS(graceshut_hook(gs, "flush", longer, never_called, NULL, NULL, NULL, NULL), GRACESHUT_E_BAD_VALUE);
    FAILS(graceshut_hook(gs, "flsuh", "x", never_called, NULL, NULL, NULL, NULL), GRACESHUT_E_UNKNOWN_PHASE);
    SAYS("did you mean \"flush\"?");
    FAILS(graceshut_hook(gs, "", "x", never_called, NULL, NULL, NULL, NULL), GRACESHUT_E_UNKNOWN_PHASE);
    OK(graceshut_uninstall(gs));
    graceshut_free(gs);
    return 0;
}

static int structs(void)
{
    graceshut_options o = GRACESHUT_OPTIONS_INIT;
    graceshut_hook_options h = GRACESHUT_HOOK_OPTIONS_INIT;
    graceshut_host host;
    graceshut_t *gs = NULL;
    size_t *tiny = malloc(sizeof *tiny); /* a struct of eight bytes: nothing behind it may be read */
    const char *const none[] = {NULL};
    const char *const self[] = {"self"};
    o.size = 0;
    FAILS(graceshut_install(&o, &gs), GRACESHUT_E_ABI_MISMATCH);
    SAYS("GRACESHUT_OPTIONS_INIT");
    o.size = sizeof o + 8;
    FAILS(graceshut_install(&o, &gs), GRACESHUT_E_ABI_MISMATCH);
    *tiny = sizeof *tiny;
    FAILS(graceshut_install((graceshut_options *)(void *)tiny, &gs), GRACESHUT_E_ABI_MISMATCH);
    o.size = sizeof o;
    o.flags = 0x100;
    FAILS(graceshut_install(&o, &gs), GRACESHUT_E_BAD_VALUE);
    SAYS("0x100");
    o.flags = 0;
    o.exit = 9;
    FAILS(graceshut_install(&o, &gs), GRACESHUT_E_BAD_VALUE);
    o.exit = 0;
    o.repeat = -1;
    FAILS(graceshut_install(&o, &gs), GRACESHUT_E_BAD_VALUE);
    o.repeat = 0;
    memset(&host, 0, sizeof host);
    o.host = &host;
    FAILS(graceshut_install(&o, &gs), GRACESHUT_E_ABI_MISMATCH);
    host.size = sizeof host;
    FAILS(graceshut_install(&o, &gs), GRACESHUT_E_NULL);
    SAYS("host.language");
    o.host = (graceshut_host *)(void *)tiny;
    FAILS(graceshut_install(&o, &gs), GRACESHUT_E_ABI_MISMATCH);
    o.host = NULL;
    o.report = "";
    FAILS(graceshut_install(&o, &gs), GRACESHUT_E_BAD_CONFIG);
    gs = install_manual();
    h.size = 1;
    FAILS(graceshut_hook(gs, "flush", "x", never_called, NULL, NULL, &h, NULL), GRACESHUT_E_ABI_MISMATCH);
    FAILS(graceshut_hook(gs, "flush", "x", never_called, NULL, NULL, (graceshut_hook_options *)(void *)tiny, NULL),
          GRACESHUT_E_ABI_MISMATCH);
    h.size = sizeof h;
    h.flags = 0x80;
    FAILS(graceshut_hook(gs, "flush", "x", never_called, NULL, NULL, &h, NULL), GRACESHUT_E_BAD_VALUE);
    h.flags = 0;
    h.after_len = 1;
    FAILS(graceshut_hook(gs, "flush", "x", never_called, NULL, NULL, &h, NULL), GRACESHUT_E_NULL);
    h.after = none;
    FAILS(graceshut_hook(gs, "flush", "x", never_called, NULL, NULL, &h, NULL), GRACESHUT_E_NULL);
    h.after = self;
    FAILS(graceshut_hook(gs, "flush", "self", never_called, NULL, NULL, &h, NULL), GRACESHUT_E_CYCLE);
    OK(graceshut_uninstall(gs));
    graceshut_free(gs);
    free(tiny);
    return 0;
}

static int config(void)
{
    static const struct { const char *json; int number; const char *words; } bad[] = {
        {"{", GRACESHUT_E_BAD_CONFIG, "JSON"},
        {"[]", GRACESHUT_E_BAD_CONFIG, ""},
        {"{\"grcae\": \"5s\"}", GRACESHUT_E_BAD_CONFIG, "grace"},
        {"{\"grace\": \"5 parsecs\"}", GRACESHUT_E_BAD_TIME, "parsecs"},
        {"{\"repeat\": \"expdite\"}", GRACESHUT_E_BAD_CONFIG, "expedite"},
        {"{\"phases\": {\"flush\": {\"cap\": \"1s\", \"reserve\": \"2s\"}}}", GRACESHUT_E_BAD_PLAN, "flush"},
        {"{\"grace\": \"1s\", \"phases\": {\"flush\": {\"reserve\": \"800ms\"}, \"close\": {\"reserve\": \"800ms\"}}}",
         GRACESHUT_E_PLAN_DOES_NOT_FIT, "800ms"},
        {"{\"hook\": [{\"phase\": \"flush\", \"wasm\": \"x\"}]}", GRACESHUT_E_UNSUPPORTED, "wasm"},
        {"{\"hook\": [{\"phase\": \"flush\"}]}", GRACESHUT_E_BAD_CONFIG, "does nothing"},
        {"{\"signals\": {\"TREM\": \"stop\"}}", GRACESHUT_E_BAD_CONFIG, "TERM"},
        {"{\"signals\": {\"KILL\": \"stop\"}}", GRACESHUT_E_BAD_CONFIG, "KILL"},
    };
    graceshut_options o = GRACESHUT_OPTIONS_INIT;
    graceshut_t *gs = NULL;
    size_t i;
    for (i = 0; i < sizeof bad / sizeof *bad; i++) {
        int answer;
        o.json = bad[i].json;
        answer = graceshut_install(&o, &gs);
        if (answer != bad[i].number || !strstr(graceshut_last_error(), bad[i].words)) {
            say("FAIL %s: %d (%s) %s", bad[i].json, answer, graceshut_error_name(answer), graceshut_last_error());
            return 1;
        }
    }
    CHECK(gs == NULL && graceshut_current() == NULL);
    return 0;
}

/* GRACESHUT_CONFIG names a file with a typo. */
static int config_file(void)
{
    graceshut_t *gs = NULL;
    FAILS(graceshut_install(NULL, &gs), GRACESHUT_E_BAD_CONFIG);
    say("words %s", graceshut_last_error());
    return 0;
}

static int disagree(void)
{
    graceshut_options o = GRACESHUT_OPTIONS_INIT;
    graceshut_t *first, *second = NULL, *third;
    o.grace_us = 5000000;
    o.exit = GRACESHUT_EXIT_MANUAL;
    first = install(&o);
    OK(graceshut_install(&o, &second));
    o.grace_us = 6000000;
    third = NULL;
    FAILS(graceshut_install(&o, &third), GRACESHUT_E_DISAGREE);
    SAYS("grace");
    SAYS("5s");
    SAYS("6s");
    CHECK(third == NULL);
    third = graceshut_current();
    CHECK(third != NULL);
    OK(graceshut_uninstall(third));
    FAILS(graceshut_ready(first), GRACESHUT_E_CLOSED);
    FAILS(graceshut_ready(second), GRACESHUT_E_CLOSED);
    graceshut_free(first);
    graceshut_free(second);
    graceshut_free(third);
    return 0;
}

static void *words_elsewhere(void *data)
{
    CHECK(graceshut_last_error()[0] == 0); /* another thread's error is not this one's */
    return data;
}

static int versions(void)
{
    pthread_t t;
    FAILS(graceshut_ready(NULL), GRACESHUT_E_NULL);
    CHECK(strcmp(graceshut_last_error(), "gs is null") == 0);
    CHECK(pthread_create(&t, NULL, words_elsewhere, NULL) == 0);
    CHECK(pthread_join(t, NULL) == 0);
    CHECK(strcmp(graceshut_version(), GRACESHUT_VERSION) == 0);
    CHECK(graceshut_abi_version() == GRACESHUT_ABI_VERSION);
    CHECK(strcmp(graceshut_error_name(0), "ok") == 0);
    CHECK(strcmp(graceshut_error_name(GRACESHUT_E_PLAN_DOES_NOT_FIT), "plan_does_not_fit") == 0);
    CHECK(strcmp(graceshut_error_name(-77), "unknown") == 0);
    say("version %s", graceshut_version());
    return 0;
}

static int checked(int (*f)(void))
{
    int r = f();
    say("ok");
    return r;
}
static int c_nulls(void) { return checked(nulls); }
static int c_times(void) { return checked(times); }
static int c_text(void) { return checked(text); }
static int c_structs(void) { return checked(structs); }
static int c_config(void) { return checked(config); }
static int c_disagree(void) { return checked(disagree); }

int main(int argc, char **argv)
{
    static const struct scenario list[] = {
        {"nulls", c_nulls}, {"times", c_times}, {"text", c_text}, {"structs", c_structs}, {"config", c_config},
        {"config_file", config_file}, {"disagree", c_disagree}, {"versions", versions}, {NULL, NULL},
    };
    alarm(LIMIT_S);
    return run_scenario(list, argc, argv);
}
