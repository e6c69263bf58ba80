import asyncio
import os
import signal
import sys

WITH = os.environ.get("WITH")
if WITH:
    import graceshut

    gs = graceshut.install(grace=8)
    gs.hook("flush", lambda: print("hook flush"), name="flush")


async def own_stop():
    await asyncio.sleep(1)
    print("own stop")


async def main():
    asked, tasks = asyncio.Event(), []

    def on_term():
        print("own handler")
        if tasks:
            print("second signal: forced")
            asked.set()
        else:
            tasks.append(asyncio.ensure_future(own_stop()))
            tasks[0].add_done_callback(lambda _: asked.set())

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, on_term)
    print("ready")
    await asked.wait()


asyncio.run(main())
sys.exit(gs.wait() if WITH else 0)
