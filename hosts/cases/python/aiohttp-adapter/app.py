import asyncio
import os

from aiohttp import web


async def index(request):
    await request.read()
    await asyncio.sleep(0.01)
    return web.Response(text="ok\n")


app = web.Application()
app.add_routes([web.get("/", index), web.post("/", index)])
options = dict(host="127.0.0.1", port=int(os.environ["PORT"]), print=None)
if os.environ.get("WITH"):
    import graceshut
    import graceshut.aiohttp

    gs = graceshut.install(grace=8)
    gs.hook("flush", lambda: print("hook flush"), name="flush")
    graceshut.aiohttp.run_app(app, **options)
else:
    web.run_app(app, **options)
