/* A daemon as it might have been for twenty years. What graceshut adds is marked: under 15 lines. */
#include <stdio.h>
#include <unistd.h>
#include <graceshut.h> /* + */

static FILE *journal;

static int flush_journal(graceshut_ctx *ctx, void *data)      /* + */
{                                                             /* + */
    (void)ctx;                                                /* + */
    return fprintf(data, "end\n") < 0 || fflush(data) != 0;   /* + */
}                                                             /* + */

int main(int argc, char **argv)
{
    graceshut_t *gs; /* + */
    journal = fopen(argc > 1 ? argv[1] : "journal", "w");
    if (journal == NULL)
        return 1;
    if (graceshut_install(NULL, &gs) != GRACESHUT_OK) {       /* + */
        fprintf(stderr, "%s\n", graceshut_last_error());      /* + */
        return 1;                                             /* + */
    }                                                         /* + */
    graceshut_hook(gs, "flush", "journal", flush_journal, journal, NULL, NULL, NULL); /* + */
    fprintf(journal, "begin\n");
    puts("ready");
    fflush(stdout);
    for (;;)
        sleep(1000);
}
