"""The apps without graceshut: work of about 10 ms. The other services put their adapter around these."""

import asyncio
import os
import time


def trace(what):
    os.write(2, b"trace %s\n" % what.encode())


async def asgi(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            else:
                trace("lifespan")
                await send({"type": "lifespan.shutdown.complete"})
                return
    assert scope["type"] == "http"
    more = True
    while more:
        message = await receive()
        more = message.get("more_body", False)
    await asyncio.sleep(0.01)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"done\n"})


def wsgi(environ, start_response):
    environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    time.sleep(0.01)
    start_response("200 OK", [("Content-Length", "5")])
    return [b"done\n"]
