import asyncio
import os

import aiorun

if os.environ.get("WITH"):
    import graceshut

    gs = graceshut.install(grace=8)
    gs.hook("flush", lambda: print("hook flush"), name="flush")


async def main():
    print("ready")
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        print("begun stop")
        await asyncio.sleep(2.5)
        print("done stop")


aiorun.run(main())
