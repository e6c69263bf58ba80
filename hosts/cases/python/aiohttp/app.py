import asyncio
import os

from aiohttp import web

if os.environ.get("WITH"):
    import graceshut

    gs = graceshut.install(grace=8)
    gs.hook("flush", lambda: print("hook flush"), name="flush")


async def index(request):
    await request.read()
    return web.Response(text="ok\n")


async def slow(request):
    print("begun")
    await asyncio.sleep(1.5)
    return web.Response(text="ok\n")


async def cleaned_up(app):
    print("own on_cleanup")


app = web.Application()
app.add_routes([web.get("/", index), web.post("/", index), web.get("/slow", slow)])
app.on_cleanup.append(cleaned_up)
web.run_app(app, host="127.0.0.1", port=int(os.environ["PORT"]), shutdown_timeout=5, print=None)
