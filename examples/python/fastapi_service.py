"""The demo service on FastAPI and uvicorn: the same hooks, answers and timeline as service.py, with an adapter doing the
server's part.

GET and POST /work take about 20 ms; GET /readyz turns 503 with the signal, while /work is served on; from `drain` on
every answer says `Connection: close` and new work gets 503. Try it:

    graceshut verify --ready http://127.0.0.1:8080/readyz --load http://127.0.0.1:8080/work -- python fastapi_service.py
"""

import asyncio
import contextlib
import os

import fastapi
from fastapi.responses import PlainTextResponse

import graceshut
import graceshut.asgi
import graceshut.uvicorn

gs = graceshut.install(grace=10)


@contextlib.asynccontextmanager
async def lifespan(app):
    print("ready", flush=True)
    yield


app = fastapi.FastAPI(lifespan=lifespan)
app.add_middleware(graceshut.asgi.Middleware, ready="/readyz", lifespan=None)


@app.get("/work")
@app.post("/work")
async def work():
    await asyncio.sleep(0.02)
    return PlainTextResponse("done\n")


def trace(what):
    print(f"trace {what}\n", end="", flush=True)  # one write: hooks and events have threads of their own


@gs.hook("announce")
def deregister():
    trace("announce/deregister")


@gs.on_event
def server(event):
    # Its hook in `drain`, named `server`, is the adapter's.
    if event["event"] == "hook_end" and event.get("hook") == "server":
        trace("drain/server")


@gs.hook("flush")
async def buffers():
    await asyncio.sleep(0.01)
    trace("flush/buffers")


@gs.hook("flush")
def offsets():
    trace("flush/offsets")


@gs.hook("close")
def pool():
    trace("close/pool")


@gs.hook("close")
def files():
    trace("close/files")


@gs.hook("final")
def telemetry(ctx):
    trace(f"final/telemetry after {ctx.reason}")


if __name__ == "__main__":
    graceshut.uvicorn.run(app, port=int(os.environ.get("PORT", "8080")), log_level="warning", access_log=False)
