/* Prints the wall time at its last act, then leaves: leave graceshut | bare. */
#include <graceshut.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void last(void) {
  struct timespec t;
  char line[64];
  clock_gettime(CLOCK_REALTIME, &t);
  int n = snprintf(line, sizeof line, "last %.3f\n", (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3);
  if (write(1, line, (size_t)n) != n) _exit(9);
}

static int32_t stamp(graceshut_ctx *ctx, void *data) {
  (void)ctx;
  (void)data;
  last();
  return 0;
}

int main(int argc, char **argv) {
  if (argc > 1 && strcmp(argv[1], "graceshut") == 0) {
    graceshut_t *gs;
    int32_t code = 1;
    if (graceshut_install(NULL, &gs) || graceshut_hook(gs, "final", "stamp", stamp, NULL, NULL, NULL, NULL)) return 2;
    puts("ready");
    fflush(stdout);
    graceshut_wait(gs, -1, &code);
    return code;
  }
  sigset_t set;
  int signo;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigprocmask(SIG_BLOCK, &set, NULL);
  puts("ready");
  fflush(stdout);
  sigwait(&set, &signo);
  last();
  return 0;
}
