"""A program whose own handler cancels every task. `before` or `after`: when it installs, beside asyncio.run."""

import asyncio
import os
import signal
import sys

WITH = os.environ.get("WITH")


async def flush():
    await asyncio.sleep(0.3)
    print("hook flush")


async def drain():
    await asyncio.sleep(0.2)


def install():
    import graceshut

    gs = graceshut.install(grace=5)
    gs.hook("drain", drain, name="drain")
    gs.hook("flush", flush, name="flush")
    return gs


async def job():
    try:
        await asyncio.sleep(60)
    finally:
        print("own job tidied up")


async def main():
    global gs
    if WITH and not BEFORE:
        gs = install()
    work = asyncio.ensure_future(job())

    def cancel_all():
        for task in asyncio.all_tasks():
            task.cancel()

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, cancel_all)
    print("ready")
    try:
        await work
    except asyncio.CancelledError:
        pass


BEFORE = sys.argv[1] == "before"
if WITH and BEFORE:
    gs = install()
try:
    asyncio.run(main())
except asyncio.CancelledError:
    pass
sys.exit(gs.wait() if WITH else 0)
