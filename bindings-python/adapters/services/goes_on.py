"""A program with something left to do when its server has returned."""

import asyncio
import sys
import time

import bare_app
from bare_app import trace

import graceshut
from graceshut.asgi import Middleware

kind, port = sys.argv[1], int(sys.argv[2])
gs = graceshut.install()
app = Middleware(bare_app.asgi, ready="/readyz")


async def hypercorn():
    from hypercorn.asyncio import serve
    from hypercorn.config import Config

    await serve(app, Config.from_mapping(bind=["127.0.0.1:%d" % port]))
    await asyncio.sleep(0.5)
    trace("database closed")


try:
    if kind == "hypercorn":
        asyncio.run(hypercorn())
    elif kind == "graceshut.aiohttp":
        from aiohttp import web

        import graceshut.aiohttp

        graceshut.aiohttp.run_app(web.Application(), host="127.0.0.1", port=port, print=None, ready="/readyz")
        trace("database closed")
    elif kind == "graceshut.hypercorn":
        import graceshut.hypercorn

        graceshut.hypercorn.run(bare_app.asgi, bind=["127.0.0.1:%d" % port], ready="/readyz")
        trace("database closed")
    elif kind == "graceshut.uvicorn":
        import graceshut.uvicorn

        graceshut.uvicorn.run(bare_app.asgi, port=port, log_level="error", ready="/readyz")
        trace("database closed")
    else:
        import uvicorn

        uvicorn.run(app, port=port, log_level="error")
        trace("database closed")
finally:
    time.sleep(0.5)
    trace("finally")
