"""Apps of every kind that a worker class of gunicorn may be given, and worker classes of a program's own."""

import asyncio

from aiohttp import web
from gunicorn.workers.base import Worker
from tornado.web import Application, RequestHandler
from uvicorn_worker import UvicornWorker

BODY = b"done\n"


async def work(request):
    await asyncio.sleep(1 if request.path == "/slow" else 0)
    return web.Response(body=BODY)


def application():
    made = web.Application()
    made.add_routes([web.route("*", "/", work), web.get("/slow", work)])
    return made


async def factory():
    return application()


async def runner():
    return web.AppRunner(application())


async def followed():
    import graceshut.aiohttp

    made = application()
    graceshut.aiohttp.follow(made, ready="/readyz")
    return made


async def installs():
    import graceshut

    # Other options than those of an install without any.
    graceshut.install(grace_normal=5)
    return await followed()


async def hooked():
    import hooks  # noqa: F401

    return application()


async def asgi(scope, receive, send):
    assert scope["type"] == "http"
    await asyncio.sleep(1 if scope["path"] == "/slow" else 0)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": BODY})


def asgi2(scope):
    return lambda receive, send: asgi(scope, receive, send)


class Derived(UvicornWorker):
    """As programs have it, to set options."""

    CONFIG_KWARGS = {"loop": "asyncio", "http": "h11"}


def wsgi(environ, start_response):
    start_response("200 OK", [("Content-Length", "5")])
    return [BODY]


class Wsgi(UvicornWorker):
    CONFIG_KWARGS = {"interface": "wsgi"}


class Handler(RequestHandler):
    def get(self):
        self.write(BODY)


tornado = Application([("/", Handler)])


class Calls(Worker):
    """A worker whose app is a function without arguments."""

    def run(self):
        self.sockets[0].setblocking(True)
        self.sockets[0].settimeout(0.1)
        while self.alive:
            self.notify()
            try:
                client, _ = self.sockets[0].accept()
            except OSError:
                continue
            client.settimeout(5)
            client.recv(65536)
            client.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\n" + self.wsgi())
            client.close()


def body():
    return BODY


def __getattr__(name):
    # aiohttp's is made by the one worker that asks for it, in a process that has no loop yet.
    if name == "plain":
        return application()
    raise AttributeError(name)
