"""Apps whose answers take their time: `/slow` 1.5 s, `/sse` without end, `/poll` a long poll; for any ASGI or WSGI server.

`END` in the environment: seconds for `end_streams_after`.
"""

import asyncio
import os
import time

import hooks
from bare_app import trace
from graceshut.asgi import Middleware
from graceshut.wsgi import Middleware as WsgiMiddleware

END = float(os.environ["END"]) if os.environ.get("END") else None


async def bare_asgi(scope, receive, send):
    if scope["type"] == "lifespan":
        return await asyncio.sleep(0)
    while (await receive()).get("more_body"):
        pass
    start = {"type": "http.response.start", "status": 200}
    if scope["path"] == "/sse":
        await send({**start, "headers": [(b"content-type", b"text/event-stream")]})
        gone = asyncio.ensure_future(receive())
        told = False
        while True:
            await send({"type": "http.response.body", "body": b"data: tick\n\n", "more_body": True})
            if gone.done() and not told:
                told = True
                trace("told %s, draining %s" % (gone.result()["type"], bool(hooks.gs.draining)))
            await asyncio.sleep(0.1)
    await asyncio.sleep(60 if scope["path"] == "/poll" else 1.5)
    await send({**start, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"done\n"})


def bare_wsgi(environ, start_response):
    environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    if environ["PATH_INFO"] == "/sse":
        start_response("200 OK", [("Content-Type", "text/event-stream")])
        return ticks(environ)
    time.sleep(1.5)
    start_response("200 OK", [("Content-Length", "5")])
    return [b"done\n"]


def ticks(environ):
    try:
        while True:
            yield b"data: tick\n\n"
            time.sleep(0.1)
    except GeneratorExit:
        trace("told %s" % bool(environ["graceshut"].draining))
        raise


asgi = Middleware(bare_asgi, ready="/readyz", end_streams_after=END)
wsgi = WsgiMiddleware(bare_wsgi, ready="/readyz", end_streams_after=END)
