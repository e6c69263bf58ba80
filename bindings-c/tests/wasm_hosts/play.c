// Plays WebAssembly hooks inside whatever host loads this: four traps, one that spins, one that ends well. Writes to `out` which
// signals the process catches before the first of them and after the last, then the report. 0 when all calls succeeded.
#include <graceshut.h>
#include <stdio.h>
#include <string.h>

static void caught(FILE *out)
{
    char line[256];
    FILE *status = fopen("/proc/self/status", "r");
    while (status && fgets(line, sizeof line, status)) {
        if (strncmp(line, "SigCgt", 6) == 0) {
            fputs(line, out);
        }
    }
    if (status) {
        fclose(status);
    }
}

int play(const char *folder, const char *path)
{
    static const char *const names[] = {"spin", "unreachable", "division", "bounds", "stack", "well"};
    graceshut_options options = GRACESHUT_OPTIONS_INIT;
    graceshut_t *gs;
    FILE *out = fopen(path, "w");
    int failed = out == NULL;

    options.exit = GRACESHUT_EXIT_MANUAL;
    options.report = "none";
    options.grace_us = 60 * 1000000;
    if (failed || graceshut_install(&options, &gs) != GRACESHUT_OK) {
        return 1;
    }
    caught(out);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char json[1024];
        snprintf(json, sizeof json, "{\"phase\": \"flush\", \"name\": \"%s\", \"timeout\": \"%s\", \"wasm\": \"%s/%s.wasm\"}", names[i],
                 i == 0 ? "4s" : "20s", folder, names[i]); /* compiled one after another, slowly on a busy machine */
        if (graceshut_hook_json(gs, json, NULL) != GRACESHUT_OK) {
            fprintf(out, "error %s\n", graceshut_last_error());
            failed = 1;
        }
    }
    failed |= graceshut_stop(gs, "test", 0) != GRACESHUT_OK;
    failed |= graceshut_wait(gs, 60 * 1000000LL, NULL) != GRACESHUT_OK;
    caught(out);
    char *report = graceshut_report_json(gs);
    fprintf(out, "%s\n", report ? report : "no report");
    graceshut_string_free(report);
    failed |= graceshut_uninstall(gs) != GRACESHUT_OK;
    graceshut_free(gs);
    failed |= fclose(out) != 0;
    return failed;
}
