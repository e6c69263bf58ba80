/* A program with a bug of its own: valgrind and the sanitizer have to see it, or their silence elsewhere says nothing. */
#include "common.h"

static int uses_freed(graceshut_ctx *ctx, void *data)
{
    int *volatile p = data; /* read anew each time: the compiler cannot see the bug */
    (void)ctx;
    free(p);
    say("read %d", *p);
    return 0;
}

int main(void)
{
    graceshut_t *gs = install(NULL);
    OK(graceshut_hook(gs, "flush", "bug", uses_freed, calloc(1, sizeof(int)), NULL, NULL, NULL));
    say("ready");
    idle();
}
