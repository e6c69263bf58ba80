// graceshut for C++17: a thin RAII wrapper over graceshut.h, header only. The C header is the manual; here is what differs.
//
//     graceshut::runtime gs;                                            // installs; throws graceshut::error
//     gs.hook("flush", "orders", [&](graceshut::context &) { orders.flush(); });
//     return gs.wait();                                                 // until SIGTERM came and every phase is over
//
// Hooks are callables; an exception is the hook's outcome and never crosses the C boundary: graceshut::cancelled means
// cancelled, anything else failed with its what(). Times are std::chrono. Every failing call throws graceshut::error.
#ifndef GRACESHUT_HPP
#define GRACESHUT_HPP

#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "graceshut.h"

namespace graceshut {

using microseconds = std::chrono::microseconds;

/// What went wrong, by the frozen numbers of graceshut.h.
enum class kind : int {
    null = GRACESHUT_E_NULL,
    not_utf8 = GRACESHUT_E_NOT_UTF8,
    unknown_phase = GRACESHUT_E_UNKNOWN_PHASE,
    bad_time = GRACESHUT_E_BAD_TIME,
    bad_value = GRACESHUT_E_BAD_VALUE,
    bad_config = GRACESHUT_E_BAD_CONFIG,
    bad_plan = GRACESHUT_E_BAD_PLAN,
    plan_does_not_fit = GRACESHUT_E_PLAN_DOES_NOT_FIT,
    disagree = GRACESHUT_E_DISAGREE,
    closed = GRACESHUT_E_CLOSED,
    too_late = GRACESHUT_E_TOO_LATE,
    cycle = GRACESHUT_E_CYCLE,
    wrong_thread = GRACESHUT_E_WRONG_THREAD,
    not_installed = GRACESHUT_E_NOT_INSTALLED,
    abi_mismatch = GRACESHUT_E_ABI_MISMATCH,
    os = GRACESHUT_E_OS,
    timeout = GRACESHUT_E_TIMEOUT,
    unsupported = GRACESHUT_E_UNSUPPORTED,
    internal = GRACESHUT_E_INTERNAL
};

/// A failed call: its kind, and words that name the culprit and the next step.
class error : public std::runtime_error {
public:
    error(graceshut::kind k, const std::string &words) : std::runtime_error(words), kind_(k) {}
    graceshut::kind kind() const noexcept { return kind_; }
    int code() const noexcept { return static_cast<int>(kind_); }
    const char *name() const noexcept { return graceshut_error_name(code()); }

private:
    graceshut::kind kind_;
};

/// Thrown by a hook that stops because it was cancelled.
class cancelled : public std::runtime_error {
public:
    cancelled() : std::runtime_error("cancelled") {}
};

namespace detail {

inline void check(int code)
{
    if (code != GRACESHUT_OK)
        throw error(static_cast<kind>(code), graceshut_last_error());
}

inline std::string take(char *text)
{
    std::unique_ptr<char, void (*)(char *)> owned(text, graceshut_string_free);
    return owned ? std::string(owned.get()) : std::string();
}

template <class T> void destroy(void *data) { delete static_cast<T *>(data); }

/// Runs a body; its exception becomes code and words.
template <class Body> int contained(Body &&body, std::string &words) noexcept
{
    try {
        body();
        return 0;
    } catch (const cancelled &) {
        return GRACESHUT_CANCELLED;
    } catch (const std::exception &e) {
        try { words = e.what(); } catch (...) {}
    } catch (...) {
        try { words = "an exception that is no std::exception"; } catch (...) {}
    }
    return 1;
}

} // namespace detail

enum class exits : int {
    unsaid = GRACESHUT_EXIT_DEFAULT,
    host = GRACESHUT_EXIT_HOST,
    reraise = GRACESHUT_EXIT_RERAISE,
    manual = GRACESHUT_EXIT_MANUAL
};

enum class repeats : int {
    unsaid = GRACESHUT_REPEAT_DEFAULT,
    expedite = GRACESHUT_REPEAT_EXPEDITE,
    interactive = GRACESHUT_REPEAT_INTERACTIVE,
    orchestrated = GRACESHUT_REPEAT_ORCHESTRATED
};

/// See graceshut_options; what is left alone is not said.
struct options {
    std::optional<microseconds> grace;
    bool hold = false;
    bool watchdog = true;
    bool serving = false;
    bool inflight = true;
    exits exit = exits::unsaid;
    repeats repeat = repeats::unsaid;
    std::optional<std::string> report;
    std::optional<std::string> json;
};

/// See graceshut_hook_options.
struct hook_options {
    std::optional<microseconds> timeout;
    std::vector<std::string> after;
    bool optional = false;
};

/// What a running hook knows; valid during its call, or until its completion has ended.
class context {
public:
    explicit context(graceshut_ctx *ctx) noexcept : ctx_(ctx) {}

    std::string name() const { return graceshut_ctx_name(ctx_); }
    std::string phase() const { return graceshut_ctx_phase(ctx_); }
    /// Until the hard deadline; nothing when there is none.
    std::optional<microseconds> remaining() const
    {
        const auto us = graceshut_ctx_remaining_us(ctx_);
        return us < 0 ? std::nullopt : std::make_optional(microseconds(us));
    }
    bool is_cancelled() const noexcept { return graceshut_ctx_cancelled(ctx_) != 0; }
    /// Throws graceshut::cancelled from the soft deadline on.
    void check() const { if (is_cancelled()) throw cancelled(); }
    /// Sleeps; true when the hook was cancelled meanwhile.
    bool wait_cancelled(microseconds limit) const { return graceshut_ctx_wait_cancelled(ctx_, limit.count()) != 0; }
    /// Sleeps; throws graceshut::cancelled when the hook is cancelled meanwhile.
    void sleep(microseconds d) const { if (wait_cancelled(d)) throw cancelled(); }
    microseconds extend(microseconds more) const { return microseconds(graceshut_ctx_extend(ctx_, more.count())); }
    int signal() const noexcept { return graceshut_ctx_signal(ctx_); }
    std::string reason() const { return detail::take(graceshut_ctx_reason(ctx_)); }
    std::string abandoned_json() const { return detail::take(graceshut_ctx_abandoned(ctx_)); }
    void log(const std::string &line) const { detail::check(graceshut_ctx_log(ctx_, line.c_str())); }
    void progress(std::uint64_t done, std::uint64_t total) const { detail::check(graceshut_ctx_progress(ctx_, done, total)); }
    /// Calls f on a worker when the hook is cancelled; an exception of f is dropped.
    void on_cancel(std::function<void()> f) const
    {
        using fn = std::function<void()>;
        auto owned = std::make_unique<fn>(std::move(f));
        const graceshut_cancel_fn call = [](void *data) {
            std::string ignored;
            detail::contained(*static_cast<fn *>(data), ignored);
        };
        detail::check(graceshut_ctx_on_cancel(ctx_, call, owned.release(), detail::destroy<fn>));
    }
    graceshut_ctx *get() const noexcept { return ctx_; }

private:
    graceshut_ctx *ctx_;
};

/// The right to say once, on any thread, how a hook ended. Dropped without a word, the hook has failed.
class completion {
public:
    explicit completion(graceshut_completion *c) noexcept : c_(c) {}
    completion(completion &&other) noexcept : c_(std::exchange(other.c_, nullptr)) {}
    completion &operator=(completion &&other) noexcept
    {
        if (this != &other) {
            drop();
            c_ = std::exchange(other.c_, nullptr);
        }
        return *this;
    }
    ~completion() { drop(); }

    graceshut::context context() const noexcept { return graceshut::context(graceshut_completion_context(c_)); }
    void finish() { end(0, nullptr); }
    void cancel() { end(GRACESHUT_CANCELLED, nullptr); }
    void fail(const std::string &words) { end(1, words.c_str()); }

private:
    void end(int code, const char *words) { detail::check(graceshut_completion_finish(std::exchange(c_, nullptr), code, words)); }
    void drop() noexcept
    {
        if (c_)
            graceshut_completion_finish(std::exchange(c_, nullptr), 1, "the completion was dropped");
    }
    graceshut_completion *c_;
};

/// One unit of work in flight; its end counts the unit out, on whatever thread.
class guard {
public:
    guard(guard &&other) noexcept : page_(std::exchange(other.page_, nullptr)) {}
    guard &operator=(guard &&other) noexcept
    {
        if (this != &other) {
            graceshut_leave(page_);
            page_ = std::exchange(other.page_, nullptr);
        }
        return *this;
    }
    ~guard() { graceshut_leave(page_); }
    /// A part of this unit; never refused.
    guard enter() const
    {
        graceshut_enter_part(page_);
        return guard(page_);
    }

private:
    friend class inflight;
    explicit guard(graceshut_page *page) noexcept : page_(page) {}
    graceshut_page *page_;
};

/// A group of work in flight. Copies stand for the same group.
class inflight {
public:
    explicit inflight(const std::string &group = std::string()) : page_(graceshut_inflight_page(group.c_str())), group_(group)
    {
        if (!page_)
            throw error(kind::bad_value, graceshut_last_error());
    }
    /// Counts a unit in; nothing once work is refused.
    std::optional<guard> enter() const
    {
        if (!graceshut_enter(page_))
            return std::nullopt;
        return guard(page_);
    }
    bool stopping() const noexcept { return graceshut_stopping(page_) != 0; }
    bool draining() const noexcept { return graceshut_draining(page_) != 0; }
    std::uint32_t count() const
    {
        std::uint32_t n = 0;
        detail::check(graceshut_inflight_count(group_.c_str(), &n));
        return n;
    }

private:
    graceshut_page *page_;
    std::string group_;
};

enum class state : int {
    idle = GRACESHUT_IDLE,
    armed = GRACESHUT_ARMED,
    stopping = GRACESHUT_STOPPING,
    stopped = GRACESHUT_STOPPED
};

enum class removal : int { removed = GRACESHUT_REMOVED, running = GRACESHUT_RUNNING, done = GRACESHUT_DONE };

/// A handle to the one runtime of the process. Its end frees the handle; what is installed stays installed.
class runtime {
public:
    /// Installs, or gives another handle to what is installed with options that agree.
    explicit runtime(const options &o = options())
    {
        graceshut_options c = GRACESHUT_OPTIONS_INIT;
        if (o.grace) {
            // 0 means "not said" in C; here it was said, and is refused like any other grace that is too short.
            c.grace_us = o.grace->count() == 0 ? 1 : o.grace->count();
        }
        c.flags = (o.hold ? GRACESHUT_HOLD : 0u) | (o.watchdog ? 0u : GRACESHUT_NO_WATCHDOG) |
                  (o.serving ? GRACESHUT_SERVING : 0u) | (o.inflight ? 0u : GRACESHUT_NO_INFLIGHT);
        c.exit = static_cast<int>(o.exit);
        c.repeat = static_cast<int>(o.repeat);
        c.report = o.report ? o.report->c_str() : nullptr;
        c.json = o.json ? o.json->c_str() : nullptr;
        graceshut_t *gs = nullptr;
        detail::check(graceshut_install(&c, &gs));
        gs_.reset(gs);
    }
    /// A handle to what is installed, if anything is.
    static std::optional<runtime> current()
    {
        graceshut_t *gs = graceshut_current();
        if (!gs)
            return std::nullopt;
        return runtime(gs);
    }
    runtime(runtime &&) noexcept = default;
    runtime &operator=(runtime &&) noexcept = default;

    /// Registers f(context &) as a hook that returns when it is done; answers its number.
    template <class F, class = std::enable_if_t<std::is_invocable_v<F &, context &>>>
    std::uint32_t hook(const std::string &phase, const std::string &name, F f, const hook_options &o = hook_options())
    {
        using fn = std::function<void(context &)>;
        const graceshut_hook_fn call = [](graceshut_ctx *ctx, void *data) -> int {
            std::string words;
            context c(ctx);
            const int code = detail::contained([&] { (*static_cast<fn *>(data))(c); }, words);
            if (code > 0)
                graceshut_ctx_set_error(ctx, words.c_str());
            return code;
        };
        return add(graceshut_hook, call, phase, name, std::make_unique<fn>(std::move(f)), o);
    }
    /// Registers f(completion) as a hook that begins its work and completes it later.
    template <class F, class = std::enable_if_t<std::is_invocable_v<F &, completion>>>
    std::uint32_t hook_start(const std::string &phase, const std::string &name, F f, const hook_options &o = hook_options())
    {
        using fn = std::function<void(completion)>;
        const graceshut_start_fn call = [](graceshut_completion *c, void *data) {
            std::string words;
            // An exception drops the completion: the hook has failed.
            detail::contained([&] { (*static_cast<fn *>(data))(completion(c)); }, words);
        };
        return add(graceshut_hook_start, call, phase, name, std::make_unique<fn>(std::move(f)), o);
    }
    /// Registers a hook that needs no code, see graceshut_hook_json.
    std::uint32_t hook_json(const std::string &json)
    {
        std::uint32_t id = 0;
        detail::check(graceshut_hook_json(gs_.get(), json.c_str(), &id));
        return id;
    }
    removal remove(std::uint32_t id)
    {
        int out = 0;
        detail::check(graceshut_remove(gs_.get(), id, &out));
        return static_cast<removal>(out);
    }
    void on_reload(const std::string &name, std::function<void()> f)
    {
        using fn = std::function<void()>;
        auto owned = std::make_unique<fn>(std::move(f));
        const graceshut_reload_fn call = [](void *data) {
            std::string words;
            return detail::contained(*static_cast<fn *>(data), words);
        };
        detail::check(graceshut_on_reload(gs_.get(), name.c_str(), call, owned.release(), detail::destroy<fn>));
    }
    void on_event(std::function<void(const std::string &json)> f)
    {
        using fn = std::function<void(const std::string &)>;
        auto owned = std::make_unique<fn>(std::move(f));
        const graceshut_event_fn call = [](const char *json, void *data) {
            std::string words;
            detail::contained([&] { (*static_cast<fn *>(data))(json); }, words);
        };
        detail::check(graceshut_on_event(gs_.get(), call, owned.release(), detail::destroy<fn>));
    }
    void ready() { detail::check(graceshut_ready(gs_.get())); }
    void set_serving(bool serving) { detail::check(graceshut_set_serving(gs_.get(), serving ? 1 : 0)); }
    /// Starts the shutdown; a grace of its own in place of the configured one.
    void stop(const std::string &reason = std::string(), std::optional<microseconds> grace = std::nullopt)
    {
        const auto us = grace ? (grace->count() == 0 ? 1 : grace->count()) : 0;
        detail::check(graceshut_stop(gs_.get(), reason.c_str(), us));
    }
    /// Blocks until every phase is over; answers the status to return from main.
    int wait()
    {
        int code = 0;
        detail::check(graceshut_wait(gs_.get(), GRACESHUT_FOREVER, &code));
        return code;
    }
    /// As wait(), at most this long: then nothing.
    std::optional<int> wait_for(microseconds limit)
    {
        int code = 0;
        const int answer = graceshut_wait(gs_.get(), limit.count() < 0 ? 0 : limit.count(), &code);
        if (answer == GRACESHUT_E_TIMEOUT)
            return std::nullopt;
        detail::check(answer);
        return code;
    }
    void uninstall() { detail::check(graceshut_uninstall(gs_.get())); }
    graceshut::state state() const noexcept { return static_cast<graceshut::state>(graceshut_state(gs_.get())); }
    std::string phase() const { return detail::take(graceshut_phase(gs_.get())); }
    /// The report as JSON, empty before every phase is over.
    std::string report_json() const { return detail::take(graceshut_report_json(gs_.get())); }
    std::string plan_text() const { return detail::take(graceshut_plan_text(gs_.get())); }
    std::string config_json() const { return detail::take(graceshut_config_json(gs_.get())); }
    std::string status() const { return detail::take(graceshut_status(gs_.get())); }
    graceshut_t *get() const noexcept { return gs_.get(); }

private:
    explicit runtime(graceshut_t *gs) noexcept : gs_(gs) {}

    template <class Register, class Call, class Fn>
    std::uint32_t add(Register registered, Call call, const std::string &phase, const std::string &name,
                      std::unique_ptr<Fn> f, const hook_options &o)
    {
        std::vector<const char *> after;
        for (const auto &other : o.after)
            after.push_back(other.c_str());
        graceshut_hook_options c = GRACESHUT_HOOK_OPTIONS_INIT;
        if (o.timeout)
            c.timeout_us = o.timeout->count() == 0 ? -1 : o.timeout->count();
        c.after = after.data();
        c.after_len = after.size();
        c.flags = o.optional ? GRACESHUT_HOOK_OPTIONAL : 0u;
        std::uint32_t id = 0;
        // From here on the C side destroys f, also when it refuses.
        detail::check(registered(gs_.get(), phase.c_str(), name.c_str(), call, f.release(), detail::destroy<Fn>, &c, &id));
        return id;
    }

    struct free_handle {
        void operator()(graceshut_t *gs) const noexcept { graceshut_free(gs); }
    };
    std::unique_ptr<graceshut_t, free_handle> gs_;
};

} // namespace graceshut

#endif // GRACESHUT_HPP
