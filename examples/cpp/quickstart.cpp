#include <graceshut.hpp>
#include <iostream>

int main()
{
    graceshut::options options;
    options.grace = std::chrono::seconds(10);
    graceshut::runtime gs(options); // throws graceshut::error

    gs.hook("drain", "server", [](graceshut::context &ctx) {
        std::cout << "no new work; " << ctx.remaining()->count() / 1e6 << " s to finish what is there\n";
    });
    gs.hook("flush", "buffers", [](graceshut::context &) { std::cout << "buffers written\n"; });

    std::cout << "ready: press Ctrl-C" << std::endl;
    return gs.wait(); // until a signal came and every phase is over
}
