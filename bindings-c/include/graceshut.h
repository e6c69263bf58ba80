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

#ifndef GRACESHUT_H
#define GRACESHUT_H

#include <stddef.h>
#include <stdint.h>

/* The version of this header; graceshut_version() tells the library's. */
#define GRACESHUT_VERSION "0.1.0"
#define GRACESHUT_VERSION_MAJOR 0
#define GRACESHUT_VERSION_MINOR 1
#define GRACESHUT_VERSION_PATCH 0


/** Flag: defer action on a trigger until `graceshut_ready`, at most 1 s, for programs that register many hooks. (spec 2.5) */
#define GRACESHUT_HOLD 1

/** Flag: do without the hard end of the process at the deadline. (spec 5.9) */
#define GRACESHUT_NO_WATCHDOG 2

/** Flag: this process accepts connections; on Kubernetes it then serves on for 5 s after readiness turned red. (spec 4.2) */
#define GRACESHUT_SERVING 4

/** Flag: do not wait for work in flight in `drain`. (spec 9.3) */
#define GRACESHUT_NO_INFLIGHT 8

/** Not said here: environment, file, else HOST. */
#define GRACESHUT_EXIT_DEFAULT 0

/** Leave through `exit`, with atexit handlers, destructors and flushed streams. (spec 6.5) */
#define GRACESHUT_EXIT_HOST 1

/** As HOST, but a clean shutdown dies by the signal that started it, as the last act. (spec 6.4) */
#define GRACESHUT_EXIT_RERAISE 2

/** Never leave: `graceshut_wait` returns and the program does what it likes; exit and return from main are no triggers. */
#define GRACESHUT_EXIT_MANUAL 3

/** Not said here: environment, file, else EXPEDITE. */
#define GRACESHUT_REPEAT_DEFAULT 0

/** A second signal cuts the plan to its reserves, a third leaves at once. (spec 7.2) */
#define GRACESHUT_REPEAT_EXPEDITE 1

/** A second signal leaves at once. (spec 7.3) */
#define GRACESHUT_REPEAT_INTERACTIVE 2

/** A repeated TERM is ignored. (spec 7.3) */
#define GRACESHUT_REPEAT_ORCHESTRATED 3

/** A wait without limit. */
#define GRACESHUT_FOREVER (-1)

/** Do not call the handler that was there before. */
#define GRACESHUT_CHAIN_NEVER 0

/** Call the handler that was there before, if it was a function. */
#define GRACESHUT_CHAIN_ALWAYS 1

/** As ALWAYS, but never a runtime's own handler that ends the process (a JVM's, Node's, a Go program's): what a C program has. */
#define GRACESHUT_CHAIN_UNLESS_IT_EXITS 2

/** Uninstalled, or a forked child that has not installed. */
#define GRACESHUT_IDLE 0

/** Waiting for a trigger. */
#define GRACESHUT_ARMED 1

/** Phases are running. */
#define GRACESHUT_STOPPING 2

/** Every phase is over. */
#define GRACESHUT_STOPPED 3

/** Flag: the hook's outcome does not count in the result. (spec 6.2) */
#define GRACESHUT_HOOK_OPTIONAL 1

/** Flag, for bindings: the body enters a host first and says so with `graceshut_ctx_begin`. (spec 6.1) */
#define GRACESHUT_HOOK_IN_HOST 2

/** Taken out: the hook will not run. */
#define GRACESHUT_REMOVED 0

/** Too late: the hook runs. */
#define GRACESHUT_RUNNING 1

/** Too late: the hook has ended, or was removed before. */
#define GRACESHUT_DONE 2

/**
 * Flag: every process that has the listeners open stops (a prefork server). Else a listener that another process has open is
 * left alone.
 */
#define GRACESHUT_ALL_HOLDERS_STOP 1

/**
 * Seen: work came since the last step: a request on any connection, or a connection made for one. Probes do not count. Once
 * newcomers are turned away it no longer counts: requests on connections that are kept say nothing about the queue.
 */
#define GRACESHUT_CAME 1

/** Seen: a connection is open whose client has not been answered yet. */
#define GRACESHUT_BUSY 2

/**
 * Seen: a connection was accepted since the last step, or a request came that is the first one of its connection. Counts as CAME,
 * and goes on counting after the turn. A server that cannot tell never says it: then the kernel's queue alone decides.
 */
#define GRACESHUT_CONNECTED 4

/** Success. */
#define GRACESHUT_OK 0

/** A required pointer was null. */
#define GRACESHUT_E_NULL 1

/** A string is not valid UTF-8. */
#define GRACESHUT_E_NOT_UTF8 2

/** No phase of that name in the plan; the words name the nearest. */
#define GRACESHUT_E_UNKNOWN_PHASE 3

/** A time is negative, zero where it may not be, or too large. */
#define GRACESHUT_E_BAD_TIME 4

/** Another argument is out of its range. */
#define GRACESHUT_E_BAD_VALUE 5

/** The configuration (graceshut.toml, GRACESHUT_*, JSON) has an unknown key or a bad value; the words name both. */
#define GRACESHUT_E_BAD_CONFIG 6

/** The phases contradict each other: two of one name, a circle, a reserve above its cap. */
#define GRACESHUT_E_BAD_PLAN 7

/** The reserves do not fit into the grace; the words have the arithmetic. */
#define GRACESHUT_E_PLAN_DOES_NOT_FIT 8

/** A second install asked for other options than the first; the words name the difference. */
#define GRACESHUT_E_DISAGREE 9

/** The runtime was uninstalled, or belongs to the parent process (after fork): install again. */
#define GRACESHUT_E_CLOSED 10

/** The phase, or the whole shutdown, is already over. */
#define GRACESHUT_E_TOO_LATE 11

/** A hook's `after` closes a circle. */
#define GRACESHUT_E_CYCLE 12

/** Not allowed on this thread: it runs a hook. */
#define GRACESHUT_E_WRONG_THREAD 13

/** Nothing is installed. */
#define GRACESHUT_E_NOT_INSTALLED 14

/** Header and library differ (the size of a struct), or another copy of the core in this process has another ABI. */
#define GRACESHUT_E_ABI_MISMATCH 15

/** The operating system refused something; the words have its words. */
#define GRACESHUT_E_OS 16

/** A wait's limit passed first. */
#define GRACESHUT_E_TIMEOUT 17

/** This build does not have that. */
#define GRACESHUT_E_UNSUPPORTED 18

/** A bug in graceshut, contained. Please report it. */
#define GRACESHUT_E_INTERNAL 99

/** What a hook returns, or a completion is finished with, when the work stopped because it was cancelled. */
#define GRACESHUT_CANCELLED (-1)

/**
 * For bindings, what a hook returns, or a completion is finished with, when a panic of its language ended it: `failed`, with
 * `panic` in the report, and the words of `graceshut_ctx_set_error`. (spec 6.1)
 */
#define GRACESHUT_PANICKED (-2)

/** The ABI this header describes; grows with each incompatible change, and the soname with it. */
#define GRACESHUT_ABI_VERSION 1

/** The right to say once how a hook ended. Any thread. One that is never finished leaves the hook to its deadline. */
typedef struct graceshut_completion graceshut_completion;

/** What a running hook knows. (spec 8.3) Valid during the hook's call, or until its completion is finished; any thread. */
typedef struct graceshut_ctx graceshut_ctx;

/** The way of a server's listeners from the start of `drain` to their closing. Any thread, one at a time. */
typedef struct graceshut_linger graceshut_linger;

/**
 * One group of work in flight: a page of counters with a documented layout, see the end of this header. Lives as long as
 * the process; any thread.
 */
typedef struct graceshut_page graceshut_page;

/** A handle to the one runtime of this process. Any thread, also several at once. */
typedef struct graceshut_t graceshut_t;

/**
 * Leaves the process through the host's own exit, with `code`. Called at most once, on a thread of graceshut, after the
 * report is written; may return at once and leave later: the watchdog ends what never leaves. (spec 6.5)
 */
typedef void (*graceshut_exit_fn)(int code, void *user_data);

/** Answers `GRACESHUT_CHAIN_*` for a signal. Called during `graceshut_install`, on its thread. (spec 3.5) */
typedef int (*graceshut_chain_fn)(int signo, void *user_data);

/**
 * What a language runtime on top of this header supplies (Go, Java); a C program has no use for it. Zero everything, set
 * `size` and `language`. Strings are copied; null functions mean what a C program wants.
 */
typedef struct {
    /** `sizeof(graceshut_host)`. */
    size_t size;
    /** The language's name in reports. Required. */
    const char *language;
    /** The runtime's version. May be null. */
    const char *version;
    /** See `graceshut_exit_fn`; null: `exit(code)`. */
    graceshut_exit_fn exit;
    /** See `graceshut_chain_fn`; null: never. */
    graceshut_chain_fn chain;
    /** Passed to both functions; lives as long as the process. */
    void *user_data;
    /** 1: graceshut is told by `graceshut_rearm` when a handler was replaced and need not look every 5 s. (spec 3.5) */
    uint8_t tells_of_changes;
    /** 1: the process leaves by `exit` above, not by returning from `graceshut_wait`. */
    uint8_t leaves_by_exit;
    /**
     * 1: `exit` and the return from main do not begin the shutdown and do not wait for it, because the host can run nothing any more by
     * then (the JVM): it says `graceshut_host_end` before; one that did not leaves at once with its own status. (spec 2.6)
     */
    uint8_t tells_of_end;
} graceshut_host;

/**
 * Options of `graceshut_install`: begin with `GRACESHUT_OPTIONS_INIT`, which sets `size` and leaves the rest unsaid, then set
 * what you want. Environment (GRACESHUT_*) beats graceshut.toml beats these. (spec 12.1) Everything is copied.
 */
typedef struct {
    /** `sizeof(graceshut_options)`: tells the library which header the program was built with. */
    size_t size;
    /**
     * Microseconds from a signal until something outside kills the process, 200 ms to 366 days; 0: not said, then from the
     * platform (Kubernetes 30 s, Docker 10 s), else 10 s. (spec 5.2)
     */
    int64_t grace_us;
    /** `GRACESHUT_HOLD`, `_NO_WATCHDOG`, `_SERVING`, `_NO_INFLIGHT`, or-ed. */
    uint32_t flags;
    /** `GRACESHUT_EXIT_*`. */
    int exit;
    /** `GRACESHUT_REPEAT_*`. */
    int repeat;
    /**
     * Where the report goes: "stderr" (one line), "stderr:json", "fd:N", "termination-log", "none", or a path (%p: the pid).
     * Null: not said. (spec 11.1)
     */
    const char *report;
    /**
     * Every other option: one JSON object with the keys of graceshut.toml, as in {"phases": {"drain": {"cap": "4s"}}}. Bare
     * numbers are microseconds. Here belongs {"admin": "127.0.0.1:9901"} (or "unix:/path"; with "admin_token"): /livez, /readyz,
     * /status and /prestop on a native thread (spec 7.5). The members above win over it. Null: none.
     */
    const char *json;
    /** For language bindings, see `graceshut_host`. Null in a C program. */
    const graceshut_host *host;
} graceshut_options;

/** A reload hook: 0 is ok, anything else failed. On a worker thread of graceshut; may block. */
typedef int (*graceshut_reload_fn)(void *user_data);

/**
 * Frees `user_data` when its callback can no longer be called: after its last call, after a registration that failed, when
 * the hook is removed, or at `graceshut_uninstall`. Called exactly once in those cases, on any thread, never while graceshut
 * holds a lock; may block. What is still registered when the process ends is not destroyed: the kernel frees it.
 */
typedef void (*graceshut_destroy_fn)(void *user_data);

/**
 * Takes an event: one JSON object with "event" (trigger, phase_start, phase_end, hook_start, hook_cancel, hook_end, deadline,
 * progress, log, reload, handler, status, prestop_wait, finished, leave), "at_us" since the trigger, and where they apply "phase", "hook",
 * "outcome", "message", "value", "total". `json` is valid during the call. On a thread of its own, one event at a time; may
 * block, which delays later events and nothing else; must not call `graceshut_uninstall`.
 */
typedef void (*graceshut_event_fn)(const char *json, void *user_data);

/**
 * A hook that returns when it is done: 0 ok; `GRACESHUT_CANCELLED` when it stopped because it was cancelled; anything else
 * failed (say why with `graceshut_ctx_set_error`). `ctx` is valid during the call. On a worker thread of graceshut, with
 * 2 MiB of stack and the program's own signal mask; may block; may call every graceshut function except `graceshut_wait` and
 * `graceshut_uninstall`.
 * `exit(n)` inside ends the hook, proposes the status n, and the plan goes on. (spec 8.6) An exception, longjmp or
 * pthread_exit must not leave it.
 */
typedef int (*graceshut_hook_fn)(graceshut_ctx *ctx, void *user_data);

/** Options of one hook: begin with `GRACESHUT_HOOK_OPTIONS_INIT`, which sets `size` and leaves the rest unsaid. Copied. */
typedef struct {
    /** `sizeof(graceshut_hook_options)`. */
    size_t size;
    /** The hook's own limit in microseconds, up to 366 days; it never gets more than its phase has left. 0: none. (spec 5.5) */
    int64_t timeout_us;
    /** Names of hooks in the same phase after which it runs, whatever their outcome. May be null. (spec 4.4) */
    const char *const *after;
    /** How many names `after` has. */
    size_t after_len;
    /** `GRACESHUT_HOOK_*`, or-ed. */
    uint32_t flags;
} graceshut_hook_options;

/**
 * A hook that begins its work and completes it later: it owns `completion`, and the program ends the hook with
 * `graceshut_completion_finish`, before or after this function returns, on any thread. `user_data` lives until both have
 * happened. Otherwise as `graceshut_hook_fn`. (spec 8.4)
 */
typedef void (*graceshut_start_fn)(graceshut_completion *completion, void *user_data);

/** Called when a hook is cancelled, on a worker thread of graceshut; may block. */
typedef void (*graceshut_cancel_fn)(void *user_data);

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * Installs signal handlers and threads, and writes a handle to `out`; free it with `graceshut_free`, or keep it as long as
 * the process. `options` may be null. Armed when it returns; before it, the library does nothing at all. (spec 2.1, 2.5)
 *
 * A second call gives another handle to the same runtime if its options agree. (spec 2.4) Any thread; blocks for the making
 * of a few threads. Not in a signal handler, and not between fork and exec in a program with threads.
 *
 * Errors: BAD_CONFIG, BAD_TIME, BAD_VALUE, BAD_PLAN, PLAN_DOES_NOT_FIT, NOT_UTF8, UNSUPPORTED, DISAGREE, ABI_MISMATCH (also
 * for a wrong `size`), OS, TIMEOUT (another thread has been installing for 5 s), NULL. Nothing is installed then.
 *
 * Pointers: `options` is null or valid, `out` is writable.
 */
int graceshut_install(const graceshut_options *options,
                      graceshut_t **out);

/**
 * A new handle to what is installed in this process, or null when nothing is (also in a forked child). Free it with
 * `graceshut_free`. Any thread; never blocks.
 */
graceshut_t *graceshut_current(void);

/**
 * Frees a handle. The runtime itself stays installed and armed. Null is fine. Any thread; never blocks.
 *
 * Pointers: `gs` came from `graceshut_install` or `graceshut_current` and was not freed before; no other thread uses it.
 */
void graceshut_free(graceshut_t *gs);

/**
 * Ends the install: previous handlers back (where the kernel still holds ours), threads ended, the data of callbacks that did
 * not run destroyed, every handle CLOSED from now on; still to be freed. For `GRACESHUT_EXIT_MANUAL` and tests. Any thread
 * but a hook's; blocks for at most about 1 s. (spec 2.1, 3.7)
 *
 * Errors: CLOSED, TOO_LATE (a shutdown is under way, or the process is leaving), WRONG_THREAD (inside a hook), NULL.
 *
 * Pointers: `gs` is null or a live handle. The same for every function below.
 */
int graceshut_uninstall(const graceshut_t *gs);

/**
 * Ends an install held with `GRACESHUT_HOLD`: what came meanwhile takes effect. Any thread; never blocks. (spec 2.5)
 *
 * Errors: CLOSED, NULL.
 *
 * Pointers: As `graceshut_uninstall`.
 */
int graceshut_ready(const graceshut_t *gs);

/**
 * Says whether this process accepts connections (0: no), should that change after the install: it decides about the announce
 * delay. Any thread; never blocks. (spec 4.2)
 *
 * Errors: NULL.
 *
 * Pointers: As `graceshut_uninstall`.
 */
int graceshut_set_serving(const graceshut_t *gs,
                          int serving);

/**
 * Starts the shutdown, or shortens the one under way. `reason` goes to report and hooks, may be null. `grace_us`: from now,
 * 200 ms to 366 days in microseconds; 0: the configured `grace_normal`. Any thread, also inside a hook; never blocks: use
 * `graceshut_wait`. (spec 2.2, 2.7, 8.6)
 *
 * Errors: BAD_TIME, CLOSED, NOT_UTF8, NULL.
 *
 * Pointers: As `graceshut_uninstall`; `reason` is null or NUL-terminated.
 */
int graceshut_stop(const graceshut_t *gs,
                   const char *reason,
                   int64_t grace_us);

/**
 * Blocks until every phase is over and the report is written, at most `timeout_us` microseconds, `GRACESHUT_FOREVER` without
 * limit. Writes the decided status to `exit_code` (may be null): return it from main. The thread that waits here is the one that
 * leaves; a program that never calls it is left by `exit` on a thread of graceshut. Any thread but a hook's. (spec 6.4, 6.5)
 *
 * If another thread is already inside `exit`, the process leaves there and this call does not return.
 *
 * Errors: TIMEOUT, BAD_TIME (negative), WRONG_THREAD (inside a hook), CLOSED, NULL.
 *
 * Pointers: As `graceshut_uninstall`; `exit_code` is null or writable.
 */
int graceshut_wait(const graceshut_t *gs,
                   int64_t timeout_us,
                   int *exit_code);

/**
 * For bindings whose exit does not pass through libc's `exit` (Go): called as the last thing before it, after the host's own
 * finalisers. Dies by the signal and does not return when that is how the process is to end, as after INT; returns otherwise,
 * also before the shutdown is over, in manual mode and for null. Any thread. (spec 6.4, 6.5)
 *
 * Pointers: As `graceshut_uninstall`.
 */
void graceshut_last_act(const graceshut_t *gs);

/**
 * Where the process is in its life: `GRACESHUT_IDLE`, `_ARMED`, `_STOPPING` or `_STOPPED`; idle for null. Any thread; never
 * blocks. (spec 2.1)
 *
 * Pointers: As `graceshut_uninstall`.
 */
int graceshut_state(const graceshut_t *gs);

/**
 * The name of the phase that runs, or null when none does. Free it with `graceshut_string_free`. Any thread; never blocks.
 *
 * Pointers: As `graceshut_uninstall`.
 */
char *graceshut_phase(const graceshut_t *gs);

/**
 * A library was loaded or a server started, which may have taken signals: graceshut looks for other handlers in the moments that
 * follow (10 ms to 5 s), as it does after `graceshut_install` and after a hook is registered. At most 32 times in the life of a
 * process. Any thread; never blocks. (spec 3.5)
 *
 * Errors: NULL.
 *
 * Pointers: As `graceshut_uninstall`.
 */
int graceshut_look_soon(const graceshut_t *gs);

/**
 * For bindings: whether the program has a handler of its own for `signo` that hears of the signal too. `has`: 0 no (as at install),
 * 1 yes, 2 it may have one, because the language tells no package who listens. The last call for a signal counts. When the plan is
 * over after a signal with 1 or 2 the program is given until D to leave by itself before `graceshut_exit_fn` is called, unless the
 * option "leave" says otherwise. Made to leave then, it is degraded with 1; with 2 it is not, as nothing is known to have been cut.
 * What the binding itself put in place does not count, nor does the language's default handler. Any thread, at any time before the
 * plan is over; never blocks. (spec 6.6)
 *
 * Errors: CLOSED, BAD_VALUE (no signal has that number; another `has`), NULL.
 *
 * Pointers: As `graceshut_uninstall`.
 */
int graceshut_set_own_handler(const graceshut_t *gs,
                              int signo,
                              int has);

/**
 * For bindings that wait for the program themselves, because a thread of theirs always stands in `graceshut_wait`: the program was
 * given its time, and the binding makes it leave now. Writes the report once more; once, after the plan. Any thread; blocks as long
 * as writing the report takes. (spec 6.6)
 *
 * Errors: CLOSED, NULL.
 *
 * Pointers: As `graceshut_uninstall`.
 */
int graceshut_made_to_leave(const graceshut_t *gs);

/**
 * The report as one JSON object, or null before every phase is over. Free it with `graceshut_string_free`. Any thread; never
 * blocks. (spec 11.1)
 *
 * Pointers: As `graceshut_uninstall`.
 */
char *graceshut_report_json(const graceshut_t *gs);

/**
 * The schedule as a table for people, best and worst case, before anything happens. Null for null. Free it with
 * `graceshut_string_free`. Any thread; never blocks. (spec 5.4)
 *
 * Pointers: As `graceshut_uninstall`.
 */
char *graceshut_plan_text(const graceshut_t *gs);

/**
 * The effective configuration as one JSON object, each value with its origin. Null for null. Free it with
 * `graceshut_string_free`. Any thread; never blocks. (spec 12.2)
 *
 * Pointers: As `graceshut_uninstall`.
 */
char *graceshut_config_json(const graceshut_t *gs);

/**
 * The state in one line for people. Null for null. Free it with `graceshut_string_free`. Any thread; never blocks.
 *
 * Pointers: As `graceshut_uninstall`.
 */
char *graceshut_status(const graceshut_t *gs);

/**
 * Registers a reload hook. With one, HUP reloads instead of stopping; one reload at a time, in order of registration. Any
 * thread; never blocks. (spec 3.4, 3.6)
 *
 * Errors: NULL, NOT_UTF8, BAD_VALUE (empty name), CLOSED, OS. `destroy` has been called then.
 *
 * Pointers: As `graceshut_uninstall`; `callback`, `user_data` and `destroy` belong together and may be used on other threads.
 */
int graceshut_on_reload(const graceshut_t *gs,
                        const char *name,
                        graceshut_reload_fn callback,
                        void *user_data,
                        graceshut_destroy_fn destroy);

/**
 * Registers a callback for every event from now on. Any thread; never blocks. (spec 11.2)
 *
 * Errors: NULL, CLOSED, OS. `destroy` has been called then.
 *
 * Pointers: As `graceshut_on_reload`.
 */
int graceshut_on_event(const graceshut_t *gs,
                       graceshut_event_fn callback,
                       void *user_data,
                       graceshut_destroy_fn destroy);

/**
 * For bindings: the host ends by itself, about to leave with `code`; `error` not null: because of that uncaught error. Any
 * thread; never blocks: `graceshut_wait` for the phases. A C program need not call it: exit and return from main are noticed.
 * (spec 2.3, 2.6)
 *
 * Errors: CLOSED, NOT_UTF8, NULL.
 *
 * Pointers: As `graceshut_uninstall`; `error` is null or NUL-terminated.
 */
int graceshut_host_end(const graceshut_t *gs,
                       const char *error,
                       int code);

/**
 * For bindings: the host can run nothing any more; those of its hooks (`GRACESHUT_HOOK_IN_HOST`) that have not begun are
 * skipped. Any thread; never blocks. (spec 2.6)
 *
 * Errors: NULL.
 *
 * Pointers: As `graceshut_uninstall`.
 */
int graceshut_host_closed(const graceshut_t *gs);

/**
 * For bindings: a sentence for the report's `warnings`, something about this run that its reader should know. Kept once, at
 * most 64 of them. Any thread; never blocks. (spec 11.1)
 *
 * Errors: CLOSED, NOT_UTF8, BAD_VALUE (empty), NULL.
 *
 * Pointers: As `graceshut_uninstall`; `message` is NUL-terminated.
 */
int graceshut_warn(const graceshut_t *gs,
                   const char *message);

/**
 * For bindings: other code set a handler for `signo`; puts graceshut's on top again, with `chain` a `GRACESHUT_CHAIN_*`.
 * Any thread; never blocks. (spec 3.5)
 *
 * Errors: CLOSED, NOT_INSTALLED (`signo` is not managed), BAD_VALUE (no such chain), OS, NULL.
 *
 * Pointers: As `graceshut_uninstall`.
 */
int graceshut_rearm(const graceshut_t *gs,
                    int signo,
                    int chain);

/**
 * Registers a hook named `name` in `phase` ("announce", "drain", "flush", "close", "final", or a phase of the configuration).
 * Names need not be unique, 1 to 256 bytes. `options` and `destroy` may be null; `out_id` (may be null) gets the number for
 * `graceshut_remove`. Any thread, also inside a hook and during the shutdown, then into the running or a later phase. Never
 * blocks beyond the making of a thread. (spec 8.1, 8.2)
 *
 * Errors: UNKNOWN_PHASE, TOO_LATE, CYCLE, BAD_TIME, BAD_VALUE, NOT_UTF8, ABI_MISMATCH (wrong `size`), CLOSED, OS, NULL.
 * `destroy` has been called then.
 *
 * Pointers: All are null or valid; `callback`, `user_data` and `destroy` belong together and may be used on other threads.
 */
int graceshut_hook(const graceshut_t *gs,
                   const char *phase,
                   const char *name,
                   graceshut_hook_fn callback,
                   void *user_data,
                   graceshut_destroy_fn destroy,
                   const graceshut_hook_options *options,
                   uint32_t *out_id);

/**
 * Registers a hook that begins its work and completes it later. Otherwise as `graceshut_hook`. (spec 8.4)
 *
 * Pointers: As `graceshut_hook`.
 */
int graceshut_hook_start(const graceshut_t *gs,
                         const char *phase,
                         const char *name,
                         graceshut_start_fn callback,
                         void *user_data,
                         graceshut_destroy_fn destroy,
                         const graceshut_hook_options *options,
                         uint32_t *out_id);

/**
 * Registers a hook that needs no code, as `[[hook]]` in graceshut.toml: one JSON object with "phase", optionally "name",
 * "timeout", "after", "optional", and one of "exec", "http", "delay", "inflight", "signal", "wasm" (UNSUPPORTED in a library
 * built without it). Times are "500ms", "10s", or bare numbers of microseconds. Threads, blocking and `out_id` as in
 * `graceshut_hook`. (spec 8.5)
 *
 * Errors: BAD_CONFIG, UNSUPPORTED, and those of `graceshut_hook`.
 *
 * Pointers: All are null or valid.
 */
int graceshut_hook_json(const graceshut_t *gs,
                        const char *json,
                        uint32_t *out_id);

/**
 * Takes a hook out and destroys its data; `out` (may be null) gets `GRACESHUT_REMOVED`, or `_RUNNING` or `_DONE` when it was
 * too late. Any thread; never blocks (but `destroy` may). (spec 8.1)
 *
 * Errors: CLOSED, NULL.
 *
 * Pointers: All are null or valid.
 */
int graceshut_remove(const graceshut_t *gs,
                     uint32_t id,
                     int *out);

/**
 * Microseconds until the hook's hard deadline, 0 when it has passed, -1 when there is none (and for null). Never blocks.
 * (spec 5.5)
 *
 * Pointers: `ctx` is null or valid. The same for every function of a context.
 */
int64_t graceshut_ctx_remaining_us(const graceshut_ctx *ctx);

/**
 * 1 from the soft deadline on: finish what cannot be left and return `GRACESHUT_CANCELLED`, or 0 if all is done. 0 before,
 * and for null. Never blocks. (spec 5.5)
 *
 * Pointers: As `graceshut_ctx_remaining_us`.
 */
int graceshut_ctx_cancelled(const graceshut_ctx *ctx);

/**
 * Sleeps for `limit_us` microseconds (answers 0), or until the hook is cancelled if that is sooner (answers 1). A negative
 * limit and a null are no sleep at all (0, BAD_TIME or NULL in `graceshut_last_error`). (spec 8.3)
 *
 * Pointers: As `graceshut_ctx_remaining_us`.
 */
int graceshut_ctx_wait_cancelled(const graceshut_ctx *ctx,
                                 int64_t limit_us);

/**
 * Asks for `more_us` microseconds more before the hook's soft deadline has come; answers how many are granted, 0 for none and
 * on an error (NULL, BAD_TIME). Never past what later phases are promised. Never blocks. (spec 5.8)
 *
 * Pointers: As `graceshut_ctx_remaining_us`.
 */
int64_t graceshut_ctx_extend(graceshut_ctx *ctx,
                             int64_t more_us);

/**
 * The hook's name, valid as long as the context. Null for null. Never blocks.
 *
 * Pointers: As `graceshut_ctx_remaining_us`.
 */
const char *graceshut_ctx_name(const graceshut_ctx *ctx);

/**
 * The phase's name, valid as long as the context. Null for null. Never blocks.
 *
 * Pointers: As `graceshut_ctx_remaining_us`.
 */
const char *graceshut_ctx_phase(const graceshut_ctx *ctx);

/**
 * The number of the signal that started the shutdown, 0 when it was something else (and for null). Never blocks. (spec 2.2)
 *
 * Pointers: As `graceshut_ctx_remaining_us`.
 */
int graceshut_ctx_signal(const graceshut_ctx *ctx);

/**
 * Why the process stops, the first trigger: "signal", "stop: words of the caller", "host_end", "uncaught: words", "prestop",
 * "parent_death", "stdin_eof". Null for null. Free it with `graceshut_string_free`. Never blocks. (spec 2.2)
 *
 * Pointers: As `graceshut_ctx_remaining_us`.
 */
char *graceshut_ctx_reason(const graceshut_ctx *ctx);

/**
 * The names of hooks that were abandoned earlier and still run, as a JSON array: what they use must not be pulled away. Null
 * for null. Free it with `graceshut_string_free`. Never blocks. (spec 5.7)
 *
 * Pointers: As `graceshut_ctx_remaining_us`.
 */
char *graceshut_ctx_abandoned(const graceshut_ctx *ctx);

/**
 * Says a line as a "log" event, cut at 8192 characters. Never blocks. (spec 8.3)
 *
 * Errors: NULL, NOT_UTF8.
 *
 * Pointers: As `graceshut_ctx_remaining_us`; `message` is NUL-terminated.
 */
int graceshut_ctx_log(graceshut_ctx *ctx, const char *message);

/**
 * Says how far the hook is, `done` of `total` (0: unknown), in a unit of its own. At most ten a second become events. Never
 * blocks. (spec 8.3)
 *
 * Errors: NULL.
 *
 * Pointers: As `graceshut_ctx_remaining_us`.
 */
int graceshut_ctx_progress(graceshut_ctx *ctx,
                           uint64_t done,
                           uint64_t total);

/**
 * The words for the report, should the hook then return a failure. Copied; the last call counts. Never blocks. (spec 6.1)
 *
 * Errors: NULL, NOT_UTF8.
 *
 * Pointers: As `graceshut_ctx_log`.
 */
int graceshut_ctx_set_error(graceshut_ctx *ctx,
                            const char *message);

/**
 * For bindings whose exit call cannot be contained or seen: the hook's end is to count as a call of `exit(status)` inside it, whatever
 * it then returns: `ok` for 0, else `failed`, and the status is proposed. The last call counts. Never blocks. (spec 8.6)
 *
 * Errors: NULL.
 *
 * Pointers: As `graceshut_ctx_remaining_us`.
 */
int graceshut_ctx_propose_exit(graceshut_ctx *ctx,
                               int status);

/**
 * Calls `callback` once when the hook is cancelled, at once when it already is; not at all when it ends before. `destroy` may
 * be null; it is called when the hook and everything that knows it have ended. Never blocks. (spec 5.5)
 *
 * Errors: NULL. `destroy` has been called then.
 *
 * Pointers: As `graceshut_ctx_remaining_us`; `callback`, `user_data` and `destroy` belong together and may be used on other threads.
 */
int graceshut_ctx_on_cancel(graceshut_ctx *ctx,
                            graceshut_cancel_fn callback,
                            void *user_data,
                            graceshut_destroy_fn destroy);

/**
 * For bindings (`GRACESHUT_HOOK_IN_HOST`): the body really begins now. 1: run it; 0: its time has passed, do not. Never
 * blocks. (spec 6.1)
 *
 * Pointers: As `graceshut_ctx_remaining_us`.
 */
int graceshut_ctx_begin(graceshut_ctx *ctx);

/**
 * The context of a hook that completes later, valid until `graceshut_completion_finish`. Null for null. Never blocks.
 *
 * Pointers: `completion` is null or valid.
 */
graceshut_ctx *graceshut_completion_context(graceshut_completion *completion);

/**
 * Ends the hook and frees the completion: `code` 0 ok, `GRACESHUT_CANCELLED`, anything else failed with `message` (may be
 * null, then as `graceshut_ctx_set_error` said). Too late is no error: the report says so. Any thread; never blocks. (spec 8.4)
 *
 * Errors: NULL; NOT_UTF8 (the hook has then failed, and the completion is freed).
 *
 * Pointers: `completion` is null or valid, and is not used afterwards; `message` is null or NUL-terminated.
 */
int graceshut_completion_finish(graceshut_completion *completion,
                                int code,
                                const char *message);

/**
 * The page of the group `group` (null or "": the default one), made when first asked for. Works before
 * `graceshut_install`. Any thread; blocks no longer than an allocation. (spec 9)
 *
 * Null on an error: BAD_VALUE (more than 64 groups), NOT_UTF8; `graceshut_last_error` has the words.
 *
 * Pointers: `group` is null or NUL-terminated.
 */
graceshut_page *graceshut_inflight_page(const char *group);

/**
 * Wakes a `drain` that waits for work in flight. `graceshut_leave` calls it when the word says 2; harmless at any time. Any
 * thread, also in a signal handler; never blocks. (spec 9.2)
 */
void graceshut_inflight_wake(void);

/**
 * Writes the units in flight in `group` (null or "": the default one) to `out`: never lower than the truth at some instant
 * during the call. Any thread; never blocks. (spec 9.1)
 *
 * Errors: NULL, NOT_UTF8, BAD_VALUE (more than 64 groups).
 *
 * Pointers: `group` is null or NUL-terminated; `out` is writable.
 */
int graceshut_inflight_count(const char *group,
                             uint32_t *out);

/**
 * Begins it, in a hook of `drain`: from here on the server refuses in words (503, `Connection: close`) and calls
 * `graceshut_linger_step` about every 10 ms. `remaining_us` is what the hook has left, as `graceshut_ctx_remaining_us` says
 * it; `GRACESHUT_FOREVER`: no limit. `flags`: `GRACESHUT_ALL_HOLDERS_STOP` or 0. Free it with `graceshut_linger_free`. Never blocks.
 * (spec 9.4)
 *
 * Null on an error: BAD_TIME, BAD_VALUE (another flag).
 */
graceshut_linger *graceshut_linger_new(int64_t remaining_us,
                                       uint32_t flags);

/**
 * 1 when the listeners are to be closed now (and for null), else 0: go on accepting and refusing, and call again.
 * `seen`: `GRACESHUT_CAME`, `_CONNECTED` and `_BUSY`, or-ed. `listeners`: their `count` descriptors; other sockets are
 * passed over, and 0 of them will do. When no client has come for 150 ms, or after a second, newcomers are turned away by a filter
 * on the sockets, and what waits in their queues is left to be accepted. Never blocks, but for a look into /proc once.
 * (spec 9.4)
 *
 * Pointers: `linger` is null or live and in no other call; `listeners` points to `count` numbers, or is null and `count` is 0.
 */
int graceshut_linger_step(graceshut_linger *linger,
                          uint32_t seen,
                          const int *listeners,
                          size_t count);

/**
 * Writes up to `room` descriptors of this process's TCP listeners on `port` to `listeners`, for hosts that do not tell them, and
 * gives how many there are. Reads /proc/self/fd. Never blocks.
 * (spec 9.4)
 *
 * Pointers: `listeners` has room for `room` numbers, or is null and `room` is 0.
 */
size_t graceshut_listeners(uint16_t port,
                           int *listeners,
                           size_t room);

/**
 * Frees it. Null is fine. Never blocks.
 *
 * Pointers: `linger` came from `graceshut_linger_new` and was not freed before; no other thread uses it.
 */
void graceshut_linger_free(graceshut_linger *linger);

/**
 * The words of the last graceshut call that failed on this thread, for people: they name the culprit and the next step.
 * Never null, "" before the first failure; a call that succeeds leaves them. Valid until the next graceshut call on this
 * thread. Never blocks. (spec 13)
 */
const char *graceshut_last_error(void);

/**
 * The name of an error number: 3 gives "unknown_phase", 0 "ok", a number this version does not know "unknown". The same
 * names in every language. Static; any thread.
 */
const char *graceshut_error_name(int code);

/**
 * Frees a string that a graceshut function gave away (those whose text says so). Null is fine. Any thread; never blocks.
 *
 * Pointers: `text` came from such a function and was not freed before.
 */
void graceshut_string_free(char *text);

/** The library's version for people, as `GRACESHUT_VERSION` of its header. Static; any thread. */
const char *graceshut_version(void);

/**
 * The ABI's number, `GRACESHUT_ABI_VERSION` of the library's header. A binding that loads the library at run time refuses
 * another one than its own. Any thread. (spec 3.1)
 */
uint32_t graceshut_abi_version(void);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* GRACESHUT_H */

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Initialisers: every member "not said", size filled in. Valid C99 and C++. ----
 *
 *     graceshut_options options = GRACESHUT_OPTIONS_INIT;
 *     options.grace_us = 25 * 1000000; */
#define GRACESHUT_OPTIONS_INIT { sizeof(graceshut_options), 0, 0u, 0, 0, 0, 0, 0 }
#define GRACESHUT_HOOK_OPTIONS_INIT { sizeof(graceshut_hook_options), 0, 0, 0u, 0u }

/* ---- Work in flight, without a call (spec 9) ----
 *
 *     graceshut_page *work = graceshut_inflight_page(NULL);     once, any time
 *     if (!graceshut_enter(work)) { answer 503, Connection: close }
 *     else { do the work; graceshut_leave(work); }
 *
 * The phase drain ends as soon as every unit has left. A server serves through announce (graceshut_stopping is already 1:
 * readiness turns red) and refuses from drain on (graceshut_draining).
 *
 * The page is plain memory, all integers uint32_t in the machine's order; layout version 1, fixed:
 *
 *     offset  meaning
 *          0  magic 0x46495347 ("GSIF" in little endian)
 *          4  layout version, 1
 *          8  number of stripes S, a power of two
 *         12  distance between stripes in bytes, 128
 *         16  offset of stripe 0, 128
 *         64  the word: 0 running, 1 announced, 2 draining
 *        128  stripe 0: entered        (192: left)
 *        256  stripe 1: entered        (320: left), and so on
 *
 * Every access is sequentially consistent; counters wrap. Enter: add 1 to `entered` of any stripe, then read the word; if it
 * is 2, add 1 to `left`, wake, and refuse. Leave: add 1 to `left` of any stripe, then read the word; if it is 2, wake. Count:
 * sum every `left` before any `entered`. A unit may leave on another thread and another stripe than it entered.
 *
 * Any thread, also in a signal handler; never block; no lock, and no call but graceshut_inflight_wake while draining. A null
 * page counts nothing: enter answers 1. Each thread counts on a stripe of its own as far as they last: the first use in a
 * thread takes the next number, kept in a static thread-local of each compilation unit (C99 has none of its own: __thread, or
 * what GRACESHUT_THREAD_LOCAL is defined as; defined as nothing, all threads share a stripe, which is correct and slower). */
#ifndef GRACESHUT_THREAD_LOCAL
#define GRACESHUT_THREAD_LOCAL __thread
#endif

static inline uint32_t *graceshut_page_word_(graceshut_page *page, size_t offset)
{
    return (uint32_t *)(void *)((unsigned char *)page + offset);
}

/* The calling thread's counter of units entered; the counter of units left lies 64 bytes further. */
static inline uint32_t *graceshut_page_stripe_(graceshut_page *page)
{
    static uint32_t next;
    static GRACESHUT_THREAD_LOCAL uint32_t mine;
    const uint32_t *head = graceshut_page_word_(page, 0);
    if (mine == 0)
        mine = __atomic_add_fetch(&next, 1u, __ATOMIC_RELAXED) | 0x80000000u;
    return graceshut_page_word_(page, head[4] + (size_t)(mine & (head[2] - 1u)) * head[3]);
}

/* 1 from the trigger on (readiness turns red), 0 before. */
static inline int graceshut_stopping(graceshut_page *page)
{
    return page && __atomic_load_n(graceshut_page_word_(page, 64), __ATOMIC_SEQ_CST) >= 1u;
}

/* 1 from the start of drain on (new work is refused), 0 before. */
static inline int graceshut_draining(graceshut_page *page)
{
    return page && __atomic_load_n(graceshut_page_word_(page, 64), __ATOMIC_SEQ_CST) >= 2u;
}

/* Counts one unit of work out. */
static inline void graceshut_leave(graceshut_page *page)
{
    if (!page)
        return;
    __atomic_fetch_add(graceshut_page_stripe_(page) + 16, 1u, __ATOMIC_SEQ_CST);
    if (graceshut_draining(page))
        graceshut_inflight_wake();
}

/* Counts a part of already accepted work in (a sub-request, a queued task); never refuses. Ends by graceshut_leave. */
static inline void graceshut_enter_part(graceshut_page *page)
{
    if (page)
        __atomic_fetch_add(graceshut_page_stripe_(page), 1u, __ATOMIC_SEQ_CST);
}

/* Counts one unit of work in: 1, and graceshut_leave ends it; or 0 once work is refused, then nothing is to be ended. */
static inline int graceshut_enter(graceshut_page *page)
{
    graceshut_enter_part(page);
    if (!graceshut_draining(page))
        return 1;
    graceshut_leave(page);
    return 0;
}

#ifdef __cplusplus
} /* extern "C" */
#endif
