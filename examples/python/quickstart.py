import sys

import graceshut

gs = graceshut.install(grace=10)


@gs.hook("drain", timeout=4)
def server(ctx):
    print(f"no new work; {ctx.remaining:.1f} s to finish what is there")


@gs.hook("flush")
async def buffers():
    print("buffers written")


print("ready: press Ctrl-C")
sys.exit(gs.wait())
