// The C++17 wrapper: ownership, exceptions both ways, completions, guards.
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <graceshut.hpp>
#include <iostream>
#include <thread>
#include <unistd.h>
#include <vector>

using namespace std::chrono_literals;

static void say(const std::string &line)
{
    const std::string out = line + "\n";
    if (write(1, out.data(), out.size()) < 0)
        _exit(98);
}

#define CHECK(condition) \
    do { \
        if (!(condition)) { \
            say(std::string("FAIL ") + std::to_string(__LINE__) + ": " #condition); \
            _exit(99); \
        } \
    } while (0)

template <class F> static graceshut::kind thrown(F f)
{
    try {
        f();
    } catch (const graceshut::error &e) {
        CHECK(std::strlen(e.what()) > 5);
        return e.kind();
    }
    return static_cast<graceshut::kind>(0);
}

struct counted {
    static std::atomic<int> alive;
    counted() { ++alive; }
    counted(const counted &) { ++alive; }
    counted(counted &&) noexcept { ++alive; }
    counted &operator=(const counted &) = default;
    ~counted() { --alive; }
};
std::atomic<int> counted::alive{0};

static graceshut::options manual()
{
    graceshut::options o;
    o.exit = graceshut::exits::manual;
    o.report = "none";
    return o;
}

static int checks()
{
    static_assert(!std::is_copy_constructible_v<graceshut::runtime> && std::is_nothrow_move_constructible_v<graceshut::runtime>);
    static_assert(!std::is_copy_constructible_v<graceshut::completion> && !std::is_copy_constructible_v<graceshut::guard>);
    static_assert(std::is_base_of_v<std::runtime_error, graceshut::error>);
    auto bad = manual();
    bad.grace = -1us;
    CHECK(thrown([&] { graceshut::runtime gs(bad); }) == graceshut::kind::bad_time);
    bad.grace = 0us;
    CHECK(thrown([&] { graceshut::runtime gs(bad); }) == graceshut::kind::bad_time);
    CHECK(!graceshut::runtime::current());
    {
        graceshut::runtime gs(manual());
        graceshut::runtime other(std::move(gs));
        gs = std::move(other);
        CHECK(gs.state() == graceshut::state::armed);
        CHECK(graceshut::runtime::current().has_value());
        CHECK(thrown([&] { gs.hook("flsuh", "x", [c = counted()](graceshut::context &) {}); }) == graceshut::kind::unknown_phase);
        CHECK(counted::alive == 0);
        const auto id = gs.hook("flush", "gone", [c = counted()](graceshut::context &) {});
        CHECK(counted::alive == 1);
        CHECK(gs.remove(id) == graceshut::removal::removed && counted::alive == 0);
        graceshut::hook_options no_time;
        no_time.timeout = 0us;
        CHECK(thrown([&] { gs.hook("flush", "x", [](graceshut::context &) {}, no_time); }) == graceshut::kind::bad_time);
        std::atomic<int> ran{0};
        gs.hook("announce", "ok", [&ran, c = counted()](graceshut::context &ctx) {
            CHECK(ctx.name() == "ok" && ctx.phase() == "announce" && ctx.reason() == "stop: done" && ctx.remaining());
            ++ran;
        });
        gs.hook("flush", "throws", [](graceshut::context &) { throw std::logic_error("no disk"); });
        gs.hook("flush", "throws int", [](graceshut::context &) { throw 7; });
        gs.hook("flush", "cancels", [](graceshut::context &) { throw graceshut::cancelled(); });
        gs.hook_start("flush", "later", [&ran](graceshut::completion c) {
            std::thread([&ran, c = std::move(c)]() mutable { ++ran; c.finish(); }).detach();
        });
        gs.hook_start("flush", "dropped", [](graceshut::completion) {});
        gs.hook_start("flush", "start throws", [](graceshut::completion) { throw std::runtime_error("broker"); });
        gs.hook_json(R"({"phase": "close", "name": "pause", "delay": "1ms"})");
        CHECK(thrown([&] { gs.hook_json("{}"); }) == graceshut::kind::bad_config);
        CHECK(!gs.wait_for(1ms));
        graceshut::inflight work;
        auto unit = work.enter();
        CHECK(unit && work.count() == 1);
        {
            auto part = unit->enter();
            CHECK(work.count() == 2);
        }
        CHECK(work.count() == 1);
        auto moved = std::move(*unit);
        unit.reset();
        CHECK(work.count() == 1);
        gs.stop("done");
        std::thread t([m = std::move(moved)]() mutable { auto last = std::move(m); });
        t.join();
        const int code = gs.wait();
        CHECK(code == 1 && ran == 2);
        CHECK(!work.enter());
        say(gs.report_json());
        gs.uninstall();
        CHECK(thrown([&] { gs.ready(); }) == graceshut::kind::closed);
    }
    CHECK(counted::alive == 0);
    say("ok");
    return 0;
}

static int serves()
{
    graceshut::runtime gs;
    gs.hook("flush", "b", [](graceshut::context &ctx) { say("hook " + ctx.name()); });
    say("ready");
    const int code = gs.wait();
    say("code " + std::to_string(code));
    return code;
}

static int uncaught()
{
    graceshut::runtime gs;
    gs.hook("flush", "b", [](graceshut::context &) { say("hook b"); });
    throw std::runtime_error("nobody catches this");
}

// A daemon of two lines: a worker in a global, main in pause(). The destructor of the running thread calls std::terminate.
static std::vector<std::thread> workers;

static int sleeps()
{
    graceshut::runtime gs;
    gs.hook("flush", "b", [](graceshut::context &ctx) { say("hook " + ctx.name()); });
    workers.emplace_back([] { for (;;) std::this_thread::sleep_for(1s); });
    say("ready");
    for (;;)
        pause();
}

struct at_end {
    ~at_end() { if (std::getenv("SAY_DESTRUCTOR")) say("static destructor"); }
};
static at_end end;

int main(int argc, char **argv)
{
    alarm(60);
    const std::string which = argc > 1 ? argv[1] : "";
    return which == "checks" ? checks() : which == "serves" ? serves() : which == "sleeps" ? sleeps() : which == "uncaught" ? uncaught() : 97;
}
