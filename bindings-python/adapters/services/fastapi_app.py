"""FastAPI, with its own lifespan and the middleware added the usual way."""

import asyncio
from contextlib import asynccontextmanager

import fastapi

import hooks  # noqa: F401
from bare_app import trace
from graceshut.asgi import Middleware


@asynccontextmanager
async def lifespan(app):
    yield
    trace("lifespan")


app = fastapi.FastAPI(lifespan=lifespan)
app.add_middleware(Middleware, ready="/readyz", live="/livez")


@app.get("/")
@app.post("/")
async def work(request: fastapi.Request):
    assert request.state.graceshut is hooks.gs
    await asyncio.sleep(0.01)
    return "done"
