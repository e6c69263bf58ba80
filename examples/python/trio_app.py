import sys

import trio

import graceshut

gs = graceshut.install(grace=10)


@gs.hook("flush")
async def buffers():
    await trio.sleep(0.1)
    print("written, in the program's own trio run")


async def main():
    await trio.sleep(0)
    print("ready")
    await gs.stopped.wait()


trio.run(main)
sys.exit(gs.wait())
