/* What the C tests share. A child says lines on stdout; "ready" is the handshake; SIGALRM ends one that hangs. */
#ifndef COMMON_H
#define COMMON_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <graceshut.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define LIMIT_S 60

/* One line, one write. */
__attribute__((format(printf, 1, 2), unused)) static void say(const char *format, ...)
{
    char line[1024];
    va_list args;
    int n;
    va_start(args, format);
    n = vsnprintf(line, sizeof line - 1, format, args);
    va_end(args);
    if (n > (int)sizeof line - 2)
        n = (int)sizeof line - 2;
    line[n++] = '\n';
    if (write(1, line, (size_t)n) != n)
        _exit(98);
}

#define CHECK(condition) \
    do { \
        if (!(condition)) { \
            say("FAIL %s:%d: %s (last error: %s)", __FILE__, __LINE__, #condition, graceshut_last_error()); \
            _exit(99); \
        } \
    } while (0)
#define OK(call) CHECK((call) == GRACESHUT_OK)
#define FAILS(call, number) CHECK((call) == (number))
#define SAYS(words) CHECK(strstr(graceshut_last_error(), words) != NULL)

__attribute__((unused)) static graceshut_t *install(const graceshut_options *options)
{
    graceshut_t *gs = NULL;
    alarm(LIMIT_S);
    OK(graceshut_install(options, &gs));
    CHECK(gs != NULL);
    return gs;
}

__attribute__((unused)) static graceshut_t *install_json(const char *json)
{
    graceshut_options options = GRACESHUT_OPTIONS_INIT;
    options.json = json;
    return install(&options);
}

__attribute__((unused)) static graceshut_t *install_manual(void)
{
    graceshut_options options = GRACESHUT_OPTIONS_INIT;
    options.exit = GRACESHUT_EXIT_MANUAL;
    options.report = "none";
    return install(&options);
}

/* A hook that says its phase and name. */
__attribute__((unused)) static int named(graceshut_ctx *ctx, void *data)
{
    (void)data;
    say("hook %s/%s", graceshut_ctx_phase(ctx), graceshut_ctx_name(ctx));
    return 0;
}

__attribute__((unused)) static void hook(graceshut_t *gs, const char *phase, const char *name, graceshut_hook_fn f)
{
    OK(graceshut_hook(gs, phase, name, f, NULL, NULL, NULL, NULL));
}

__attribute__((unused, noreturn)) static void idle(void)
{
    for (;;)
        pause();
}

/* argv[1] names the scenario. */
struct scenario {
    const char *name;
    int (*run)(void);
};

__attribute__((unused)) static int run_scenario(const struct scenario *list, int argc, char **argv)
{
    for (; argc > 1 && list->name; list++)
        if (strcmp(list->name, argv[1]) == 0)
            return list->run();
    say("FAIL no such scenario");
    return 97;
}

#endif
