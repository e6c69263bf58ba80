"""Apps whose answers take their time: `/slow` 1.5 s, `/sse` without end, `/poll` a long poll, `/export` a download of 2 s in 20
pieces without a length; for any ASGI or WSGI server.

`END` in the environment: seconds for `end_streams_after`; `TYPES`: its `stream_types`. As a program: the standard library's server, or Flask's.
"""

import asyncio
import itertools
import os
import sys
import time

import hooks
from bare_app import trace
from graceshut.asgi import Middleware
from graceshut.wsgi import Middleware as WsgiMiddleware

END = float(os.environ["END"]) if os.environ.get("END") else None
STREAMS = {"end_streams_after": END, "stream_types": os.environ.get("TYPES", "").split()}
TICK = b"data: tick\n\n"
ROW = b"%04d\n"
ROWS = 20


async def plain(scope, receive, send):
    if scope["type"] == "lifespan":
        return  # as many apps do
    while (await receive()).get("more_body"):
        pass
    start = {"type": "http.response.start", "status": 200}
    if scope["path"] == "/sse":
        await send({**start, "headers": [(b"content-type", b"text/event-stream")]})
        gone, told = asyncio.ensure_future(receive()), False
        while True:
            await send({"type": "http.response.body", "body": TICK, "more_body": True})
            if gone.done() and not told:
                told = True
                trace("told %s, draining %s" % (gone.result()["type"], bool(hooks.gs.draining)))
            await asyncio.sleep(0.05)
    if scope["path"] == "/export":
        await send({**start, "headers": [(b"content-type", b"text/csv")]})
        async for row in export():
            await send({"type": "http.response.body", "body": row, "more_body": True})
        return await send({"type": "http.response.body", "body": b""})
    await asyncio.sleep(60 if scope["path"] == "/poll" else 1.5)
    await send({**start, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"done\n"})


async def events():
    try:
        while True:
            yield TICK.decode()
            await asyncio.sleep(0.05)
    except asyncio.CancelledError:
        trace("told, draining %s" % bool(hooks.gs.draining))
        raise


async def export():
    for i in range(ROWS):
        yield ROW % i
        await asyncio.sleep(0.1)


def rows():
    for i in range(ROWS):
        yield ROW % i
        time.sleep(0.1)


def ticks(environ=None):
    try:
        while True:
            yield TICK
            time.sleep(0.05)
    except GeneratorExit:
        trace("told, draining %s" % bool(hooks.gs.draining if environ is None else environ["graceshut"].draining))
        raise


def plain_wsgi(environ, start_response):
    environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    if environ["PATH_INFO"] == "/sse":
        start_response("200 OK", [("Content-Type", "text/event-stream")])
        return ticks(environ)
    if environ["PATH_INFO"] == "/export":
        start_response("200 OK", [("Content-Type", "text/csv")])
        return rows()
    time.sleep(1.5)
    start_response("200 OK", [("Content-Length", "5")])
    return [b"done\n"]


def make_starlette():
    from sse_starlette.sse import EventSourceResponse
    from starlette.applications import Starlette
    from starlette.responses import StreamingResponse
    from starlette.routing import Route

    async def strip():
        async for _ in events():
            yield {"data": "tick"}

    async def sse(request):
        return EventSourceResponse(strip())

    async def download(request):
        return StreamingResponse(export(), media_type="text/csv")

    return Starlette(routes=[Route("/sse", sse), Route("/export", download)])


def make_django():
    import django
    from django.conf import settings
    from django.core.asgi import get_asgi_application
    from django.http import StreamingHttpResponse
    from django.urls import path

    module = type(sys)("slow_urls")
    module.urlpatterns = [
        path("sse", lambda request: StreamingHttpResponse(events(), content_type="text/event-stream")),
        path("export", lambda request: StreamingHttpResponse(export(), content_type="text/csv")),
    ]
    sys.modules["slow_urls"] = module
    settings.configure(ROOT_URLCONF="slow_urls", ALLOWED_HOSTS=["*"], LOGGING_CONFIG=None)
    django.setup()
    return get_asgi_application()


def __getattr__(name):
    # Made by the one server that asks for it.
    if name in ("starlette", "django"):
        globals()[name] = Middleware(globals()["make_" + name](), ready="/readyz", **STREAMS)
        return globals()[name]
    raise AttributeError(name)


def serve_std(port):
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    import graceshut.http_server

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/csv" if self.path == "/export" else "text/event-stream")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            if self.path == "/export":
                for row in itertools.chain(rows(), [b""]):
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(row), row))
                return
            try:
                while True:
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(TICK), TICK))
                    time.sleep(0.05)
            except BrokenPipeError:
                trace("told, draining %s" % bool(hooks.gs.draining))
                raise

        def log_message(self, *args):
            pass

    sys.exit(graceshut.http_server.serve(ThreadingHTTPServer(("127.0.0.1", port), Handler), ready="/readyz", **STREAMS))


def serve_flask(port):
    import flask

    import graceshut.flask

    app = flask.Flask("slow")
    app.add_url_rule("/sse", view_func=lambda: flask.Response(ticks(), mimetype="text/event-stream"), endpoint="sse")
    app.add_url_rule("/export", view_func=lambda: flask.Response(rows(), mimetype="text/csv"), endpoint="export")
    graceshut.flask.run(app, port=port, ready="/readyz", **STREAMS)


if __name__ == "__main__":
    globals()["serve_" + sys.argv[1]](int(sys.argv[2]))
else:
    asgi = Middleware(plain, ready="/readyz", **STREAMS)
    wsgi = WsgiMiddleware(plain_wsgi, ready="/readyz", **STREAMS)
