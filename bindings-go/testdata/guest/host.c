/* A C program that loads the Go library: host LIBRARY [handler [leaves]] [listens-first] [listens-later]. */
#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static volatile sig_atomic_t stop;

static void heard(int signo)
{
    (void)signo;
    stop = 1;
    if (write(1, "host heard\n", 11) != 11)
        _exit(98);
}

static void at_exit(void) { puts("host's atexit"); }

static int has(char **argv, const char *word)
{
    for (; *argv; argv++)
        if (strcmp(*argv, word) == 0)
            return 1;
    return 0;
}

int main(int argc, char **argv)
{
    void *library;
    int (*install)(void);
    void (*listens)(void);
    struct sigaction a;
    alarm(30);
    atexit(at_exit);
    if (argc < 2)
        return 90;
    memset(&a, 0, sizeof a);
    a.sa_handler = heard;
    if (has(argv, "handler"))
        sigaction(SIGTERM, &a, NULL);
    library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    if (library == NULL)
        return fprintf(stderr, "%s\n", dlerror()), 91;
    *(void **)&install = dlsym(library, "GuestInstall");
    *(void **)&listens = dlsym(library, "GuestListens");
    if (has(argv, "listens-first"))
        listens();
    if (install() != 0)
        return 92;
    if (has(argv, "listens-later"))
        listens();
    puts("ready");
    fflush(stdout);
    while (!(stop && has(argv, "leaves")))
        usleep(20000);
    usleep(600000);
    puts("host's own stop is over");
    return 7;
}
