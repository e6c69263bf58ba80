/* graceshut: one signal handler, ordered time-boxed phases, one deadline.
 *
 * This header is the manual of the C interface. It is generated (`UPDATE=1 cargo test -p graceshut-c --test header`) from
 * bindings-c/src and bindings-c/header: change those, not this. "(spec 4.2)" is a rule of docs/spec.md.
 *
 *     #include <graceshut.h>
 *
 *     static int flush(graceshut_ctx *ctx, void *data) { (void)ctx; return fflush(data); }
 *
 *     graceshut_t *gs;
 *     if (graceshut_install(NULL, &gs) != GRACESHUT_OK)            // TERM, INT and HUP now start the plan
 *         errx(1, "%s", graceshut_last_error());
 *     graceshut_hook(gs, "flush", "log file", flush, file, NULL, NULL, NULL);
 *     ...                                                          // the program as it was; or graceshut_wait(gs, ...)
 *
 * From a signal, graceshut_stop, exit or the return from main on, the phases run one after another: announce, drain, flush,
 * close, final. Hooks of a phase run side by side (in close: one at a time, last registered first). Each phase has a time-box,
 * the late ones have time reserved whatever happened before, and the process is gone by the deadline. (spec 4, 5)
 *
 * Conventions, the same for every function:
 *
 *   errors     0 is success, anything else a GRACESHUT_E_*; numbers are frozen. graceshut_last_error() has the words, on the
 *              thread of the call. Functions that answer a pointer or a number say what they answer on an error. A null where
 *              a value is needed is an error, never a crash; so is a time out of range and text that is not UTF-8. (spec 13)
 *   arguments  inputs are const and copied; outputs come last and are written only on success.
 *   ownership  one owner for each pointer. A handle given by graceshut_install or graceshut_current is freed by graceshut_free,
 *              text by graceshut_string_free, a completion is consumed by graceshut_completion_finish; each once, and null is
 *              fine. What a callback is handed otherwise is valid for the time its text says.
 *   callbacks  function + user_data + destroy. A null destroy does nothing. The text of each says on which thread it runs.
 *   threads    every function may be called from any thread, several at once, unless its text says otherwise. None may be
 *              called in a signal handler, except graceshut_inflight_wake and the inline functions at the end.
 *   blocking   nothing blocks but what says so. "Never blocks" means: no longer than a mutex held for a few lines.
 *   units      times are integer microseconds, int64_t, named ..._us; clock CLOCK_MONOTONIC.
 *   text       NUL-terminated UTF-8.
 *   panics     no panic of the library leaves it: it becomes GRACESHUT_E_INTERNAL.
 *   fork       in a forked child every handle is CLOSED (free it, install again), state is idle, and signals act as though
 *              graceshut had never been loaded. (spec 10.1)
 *
 * How a C program ends (spec 2.6):
 *
 *   return from main, exit(n)        a trigger: all hooks run, then the process leaves with n; 0 becomes 1 when degraded
 *   exit(n) inside a hook            ends that hook and proposes n; the plan goes on
 *   _exit, quick_exit, abort, an uncaught C++ exception, a fatal signal      nothing runs
 *
 * Exit status (spec 6.4): clean 0 (after INT: death by INT), or the program's own; degraded 1 instead of 0; forced 128 + the
 * signal, 70 without one.
 *
 * Limits. The handler is one per process: signal() or sigaction() for TERM, INT or HUP after graceshut_install replaces it,
 * and until graceshut notices (at most 5 s) only the other handler sees signals. EINTR happens as with any handler. Loaded by
 * dlopen, the library stays loaded from graceshut_install on. A program in its own dlmopen namespace is not found. */
