"""The install and the hooks that every service here has: one in every phase but `drain`."""

import asyncio

import graceshut
from bare_app import trace

gs = graceshut.install()


@gs.hook("announce")
def deregister():
    trace("announce")


@gs.hook("flush")
async def buffers():
    await asyncio.sleep(0.01)
    trace("flush")


@gs.hook("close")
def pool():
    trace("close")


@gs.hook("final")
def telemetry():
    trace("final")
