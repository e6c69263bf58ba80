"""aiohttp: `aiohttp_app.py run_app PORT`, or `runner` with a handler of the program's own; with `bare` behind, without graceshut."""

import asyncio
import signal
import sys

from aiohttp import web

KIND, PORT, BARE = sys.argv[1], int(sys.argv[2]), sys.argv[3:] == ["bare"]


async def work(request):
    await request.read()
    await asyncio.sleep(0.01)
    return web.Response(text="done\n")


async def sse(request):
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    while True:
        await response.write(b"data: tick\n\n")
        await asyncio.sleep(0.05)


async def export(request):
    response = web.StreamResponse(headers={"Content-Type": "text/csv"})
    await response.prepare(request)
    for i in range(20):
        await response.write(b"%04d\n" % i)
        await asyncio.sleep(0.1)
    return response


async def slow(request):
    await asyncio.sleep(60 if request.path == "/poll" else 1.5)
    return web.Response(text="done\n")


app = web.Application()
app.router.add_route("*", "/", work)
app.add_routes([web.get("/sse", sse), web.get("/export", export), web.get("/slow", slow), web.get("/poll", slow)])


async def main():
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", PORT).start()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()
    await runner.cleanup()


if not BARE:
    import os

    import graceshut.aiohttp
    import hooks

    end = float(os.environ["END"]) if os.environ.get("END") else None
    options = {"ready": "/readyz", "end_streams_after": end, "stream_types": os.environ.get("TYPES", "").split()}
    if KIND == "run_app":
        graceshut.aiohttp.run_app(app, host="127.0.0.1", port=PORT, print=None, access_log=None, **options)
    else:
        graceshut.aiohttp.follow(app, **options)
        asyncio.run(main())
        sys.exit(hooks.gs.wait())
elif KIND == "run_app":
    web.run_app(app, host="127.0.0.1", port=PORT, print=None, access_log=None)
else:
    asyncio.run(main())
