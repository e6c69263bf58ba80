"""An arq worker; jobs note their beginning and their end."""

import asyncio
import os

from arq.connections import RedisSettings

import graceshut.arq
import hooks  # noqa: F401

folder = os.environ["ADAPTER_FOLDER"]


def note(word, n):
    with open(folder + "/notes", "a") as f:
        f.write("%s %s\n" % (word, n))


async def work(ctx, n):
    note("begin", n)
    await asyncio.sleep(0.3)
    note("end", n)


async def startup(ctx):
    for n in range(200):
        await ctx["redis"].enqueue_job("work", n)
    os.write(1, b"ready\n")


async def shutdown(ctx):
    hooks.trace("on_shutdown")


class WorkerSettings:
    functions = [work]
    on_startup = startup
    on_shutdown = shutdown
    max_jobs = 4
    poll_delay = 0.05
    redis_settings = RedisSettings(unix_socket_path=folder + "/redis.sock")


if __name__ == "__main__":
    graceshut.arq.run(WorkerSettings)
