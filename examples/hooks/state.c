// Writes a final state file, whole or not at all, and moves what is spooled into place. With wasi-libc.
//
//   [hook.wasm]
//   path = "state.wasm"
//   dirs = { "/state" = "/var/lib/app:rw", "/spool" = "/var/spool/app:rw" }
//
// /state/final.json says why the process ended; every file of /spool/new goes to /spool/done.
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "graceshut_v1.h"

static int fail(const char *what) {
  char why[256];
  int len = snprintf(why, sizeof why, "%s: %s", what, strerror(errno));
  graceshut_set_error(why, len);
  return 1;
}

static int write_state(void) {
  char reason[64] = "", run[64] = "";
  graceshut_context_read("reason", 6, reason, sizeof reason - 1);
  graceshut_context_read("run_id", 6, run, sizeof run - 1);
  FILE *file = fopen("/state/.final.json", "w");
  if (!file) return fail("/state/.final.json");
  int bad = fprintf(file, "{\"run_id\": \"%s\", \"reason\": \"%s\"}\n", run, reason) < 0;
  bad |= fflush(file) != 0 || fsync(fileno(file)) != 0;
  if (fclose(file) != 0 || bad) return fail("/state/.final.json");
  return rename("/state/.final.json", "/state/final.json") == 0 ? 0 : fail("/state/final.json");
}

static int move_spool(void) {
  DIR *folder = opendir("/spool/new");
  if (!folder) return errno == ENOENT ? 0 : fail("/spool/new");
  struct dirent *entry;
  int moved = 0;
  while ((entry = readdir(folder)) && !graceshut_cancelled()) {
    char from[300], to[300];
    if (entry->d_name[0] == '.') continue;
    snprintf(from, sizeof from, "/spool/new/%s", entry->d_name);
    snprintf(to, sizeof to, "/spool/done/%s", entry->d_name);
    if (rename(from, to) != 0) {
      closedir(folder);
      return fail(from);
    }
    graceshut_progress(++moved, 0);
  }
  closedir(folder);
  printf("%d files moved\n", moved);
  return 0;
}

GRACESHUT_EXPORT("run") int run(int reason) {
  (void)reason;
  int state = write_state();
  return move_spool() | state;
}
