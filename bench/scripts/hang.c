/* An atexit handler that never returns: only the watchdog can end it. */
#include <graceshut.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void hang(void) { sleep(60); }

int main(void) {
  graceshut_options options = GRACESHUT_OPTIONS_INIT;
  graceshut_t *gs;
  int32_t code = 1;
  options.grace_us = 200000;
  atexit(hang);
  if (graceshut_install(&options, &gs)) return 2;
  puts("ready");
  fflush(stdout);
  graceshut_wait(gs, -1, &code);
  return code;
}
