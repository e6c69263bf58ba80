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
