/* The library loaded by dlopen: it stays mapped after dlclose (spec 10.4), so the next signal finds its handler. */
#include <dlfcn.h>

#include "common.h"

typedef int (*install_f)(const graceshut_options *, graceshut_t **);
typedef int (*hook_f)(const graceshut_t *, const char *, const char *, graceshut_hook_fn, void *, graceshut_destroy_fn,
                      const graceshut_hook_options *, uint32_t *);

/* Exported by this executable (-rdynamic): must not get into the library's own calls (embedding G48). */
int graceshut_abi_version_called;
uint32_t graceshut_abi_version(void) { graceshut_abi_version_called = 1; return 77; }
void graceshut_inflight_wake(void) { say("FAIL interposed"); }
void graceshut_string_free(char *text) { (void)text; say("FAIL interposed"); }
const char *graceshut_last_error(void) { return "the host's own"; }

static int ran(graceshut_ctx *ctx, void *data) { (void)ctx, (void)data; say("hook ran"); return 0; }

int main(int argc, char **argv)
{
    void *library = dlopen(argc > 1 ? argv[1] : "libgraceshut.so.0", RTLD_NOW | RTLD_LOCAL);
    union { void *object; install_f install; hook_f hook; } f;
    graceshut_t *gs = NULL;
    alarm(LIMIT_S);
    if (!library) {
        say("FAIL %s", dlerror());
        return 1;
    }
    f.object = dlsym(library, "graceshut_install");
    CHECK(f.object && f.install(NULL, &gs) == GRACESHUT_OK);
    f.object = dlsym(library, "graceshut_hook");
    CHECK(f.object && f.hook(gs, "flush", "b", ran, NULL, NULL, NULL, NULL) == GRACESHUT_OK);
    CHECK(dlclose(library) == 0);
    CHECK(dlclose(library) != 0 || 1); /* one too many: still mapped */
    say("ready");
    idle();
}
