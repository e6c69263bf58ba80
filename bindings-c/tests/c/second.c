/* Another copy of the library in the same process: its install is refused and names the first one (spec 3.1). */
#include <dlfcn.h>

#include "common.h"

typedef int (*install_f)(const graceshut_options *, graceshut_t **);
typedef const char *(*last_error_f)(void);
typedef int (*uninstall_f)(const graceshut_t *);

static int ran(graceshut_ctx *ctx, void *data) { (void)ctx, (void)data; say("hook ran"); return 0; }

int main(int argc, char **argv)
{
    graceshut_t *gs = install(NULL), *other = NULL;
    union { void *object; install_f install; last_error_f last_error; uninstall_f uninstall; } f, words;
    void *copy;
    int code = 5;
    CHECK(argc > 1);
    copy = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    if (!copy) {
        say("FAIL %s", dlerror());
        return 1;
    }
    f.object = dlsym(copy, "graceshut_install");
    words.object = dlsym(copy, "graceshut_last_error");
    CHECK(f.object && words.object && f.install != graceshut_install);
    CHECK(f.install(NULL, &other) == GRACESHUT_E_UNSUPPORTED && other == NULL);
    say("%s", words.last_error());

    /* The first one is none the worse for it, and makes room when it goes. */
    OK(graceshut_uninstall(gs));
    graceshut_free(gs);
    CHECK(f.install(NULL, &other) == GRACESHUT_OK);
    FAILS(graceshut_install(NULL, &gs), GRACESHUT_E_UNSUPPORTED);
    f.object = dlsym(copy, "graceshut_uninstall");
    CHECK(f.object && f.uninstall(other) == GRACESHUT_OK);

    gs = install(NULL);
    OK(graceshut_hook(gs, "flush", "b", ran, NULL, NULL, NULL, NULL));
    say("ready");
    OK(graceshut_wait(gs, GRACESHUT_FOREVER, &code));
    return code;
}
