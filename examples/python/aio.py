import asyncio

import graceshut

gs = graceshut.install(grace=10)


@gs.hook("drain", timeout=8)
async def consumers(ctx):
    # On the program's own loop; cancelled at its soft deadline, before the hard one.
    print("consumers stop, because of", ctx.reason)
    await asyncio.sleep(0.1)


async def job():
    async with gs.track():  # drain waits for it
        print("ready")
        await asyncio.sleep(0.2)
        print("job done")


async def main():
    work = asyncio.create_task(job())
    await gs.stopping  # readiness is red from here on
    await work
    await gs.stopped.wait()  # the loop lives as long as the hooks that run on it


asyncio.run(main())
