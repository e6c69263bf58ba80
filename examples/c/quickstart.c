#include <graceshut.h>
#include <stdio.h>

static int server(graceshut_ctx *ctx, void *data)
{
    printf("no new work; %.1f s to finish what is there\n", graceshut_ctx_remaining_us(ctx) / 1e6);
    return data != NULL; /* 0 is ok */
}

static int buffers(graceshut_ctx *ctx, void *data)
{
    puts("buffers written");
    return ctx == NULL || data != NULL;
}

int main(void)
{
    graceshut_options options = GRACESHUT_OPTIONS_INIT;
    graceshut_t *gs;
    int code = 1;

    options.grace_us = 10 * 1000000;
    if (graceshut_install(&options, &gs) != GRACESHUT_OK) {
        fprintf(stderr, "%s\n", graceshut_last_error());
        return 1;
    }
    graceshut_hook(gs, "drain", "server", server, NULL, NULL, NULL, NULL);
    graceshut_hook(gs, "flush", "buffers", buffers, NULL, NULL, NULL, NULL);

    puts("ready: press Ctrl-C");
    fflush(stdout);
    graceshut_wait(gs, GRACESHUT_FOREVER, &code); /* until a signal came and every phase is over */
    return code;
}
