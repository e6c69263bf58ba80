/* Plays conformance scenarios through graceshut.h. See ../../README.md. */
#ifndef DRIVER_H
#define DRIVER_H

#include "json.h"

#include <graceshut.h>

/* A hook as the scenario has it; lives for ever. */
typedef struct {
    const json *spec;
    const char *name;
    uint32_t id;
    int cancel_told;
} hook;

/* Where acts run: in a hook, or (ctx is null) in main or the control thread. */
typedef struct {
    hook *hook;
    graceshut_ctx *ctx;
} place;

/* How a list of acts ended. */
enum { GO_ON = -100 }; /* else what a hook returns: 0, 1, GRACESHUT_CANCELLED */

extern graceshut_t *gs;
extern const json *scenario;

void trace(const char *what, const char *name, const char *fields); /* fields: ", \"key\": ..." or "" */
void trace_error(const char *name, int code);
int install(const json *options, graceshut_t **out);
void add_hook(const json *spec);
void tell_cancel(void *self); /* of a hook; writes once */
int play(const json *acts, place *at);
int play_act(const json *act, place *at);
void to_main(const json *act); /* main plays it as soon as it can */
void sleep_ms(long ms);

#endif
