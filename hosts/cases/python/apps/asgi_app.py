"""An ASGI app as its users write it: by itself, or in graceshut's middleware."""

import asyncio
import os


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            kind = (await receive())["type"]
            await send({"type": kind + ".complete"})
            if kind == "lifespan.shutdown":
                print("own lifespan\n", end="", flush=True)
                return
    while scope["method"] == "POST" and (await receive()).get("more_body"):
        pass
    if scope["path"] == "/slow":
        print("begun\n", end="", flush=True)
    await asyncio.sleep(1.5 if scope["path"] == "/slow" else 0.01)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"3")]})
    await send({"type": "http.response.body", "body": b"ok\n"})


if os.environ.get("WITH"):
    import graceshut
    import graceshut.asgi

    gs = graceshut.install(grace=8)
    gs.hook("flush", lambda: print("hook flush\n", end="", flush=True), name="flush")
    app = graceshut.asgi.Middleware(app)
