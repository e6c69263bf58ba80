#include <asio.hpp>

#include <cstdlib>
#include <iostream>
#include <thread>

#ifdef WITH
#include <graceshut.h>
#endif

int main() {
#ifdef WITH
    graceshut_options options = GRACESHUT_OPTIONS_INIT;
    graceshut_t *gs = nullptr;
    if (graceshut_install(&options, &gs) != GRACESHUT_OK) return 2;
    auto flush = [](graceshut_ctx *, void *) { std::cout << "hook flush" << std::endl; return 0; };
    graceshut_hook(gs, "flush", "flush", flush, nullptr, nullptr, nullptr, nullptr);
#endif
    asio::io_context io;
    asio::signal_set signals(io, SIGTERM);
    signals.async_wait([](auto, int) { std::cout << "own asio heard it" << std::endl; });
    std::thread loop([&] { io.run(); });
    std::cout << "ready" << std::endl;
#ifdef WITH
    int code = 0;
    graceshut_wait(gs, GRACESHUT_FOREVER, &code);
    loop.join();
    return code;
#else
    loop.join();
#endif
}
