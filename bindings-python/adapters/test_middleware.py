"""The middlewares by themselves, without a server."""

from __future__ import annotations

import asyncio
import io
import threading
import time

import fastapi
import pytest
from fastapi.testclient import TestClient

import graceshut
from graceshut import asgi, wsgi


@pytest.fixture
def gs():
    with graceshut.install(exit="manual", report="none", grace=5, announce_delay="150ms") as gs:
        yield gs
        if gs.state not in ("armed", "stopped", "idle"):
            gs.wait(timeout=10)


def http(path="/", version="1.1", method="GET", kind="http"):
    return {"type": kind, "path": path, "http_version": version, "method": method, "headers": []}


async def call(app, scope, body=()):
    sent, parts = [], list(body) or [b""]

    async def receive():
        return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}

    async def send(message):
        sent.append(message)

    await app(scope, receive, send)
    headers = dict(sent[0].get("headers", ()))
    return sent[0]["status"], headers.get(b"connection"), b"".join(m.get("body", b"") for m in sent[1:])


async def hello(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"connection", b"keep-alive"), (b"x", b"1")]})
    await send({"type": "http.response.body", "body": b"hello"})


def until(what, limit=5.0):
    end = time.monotonic() + limit
    while not what():
        assert time.monotonic() < end, "it never became so"
        time.sleep(0.002)


def test_asgi_through_the_phases(gs):
    app = asgi.Middleware(hello, ready="/r", live="/l")

    async def main():
        assert await call(app, http()) == (200, b"keep-alive", b"hello")
        assert await call(app, http("/r")) == (200, None, b"ready\n")
        gs.stop("test")
        until(lambda: app._server.stopping)
        # announce: served on, with a hint to come back elsewhere; not in HTTP/2, which has no such header.
        assert not gs.draining
        assert await call(app, http()) == (200, b"close", b"hello")
        assert await call(app, http(version="2")) == (200, b"keep-alive", b"hello")
        assert await call(app, http("/r")) == (503, b"close", b"stopping\n")
        assert await call(app, http("/l")) == (200, b"close", b"alive\n")
        until(lambda: gs.draining)
        parts = [b"a" * 10, b"b" * 10]
        status, connection, body = await call(app, http(method="POST"), parts)
        assert (status, connection) == (503, b"close") and body.startswith(b"draining")
        # HEAD: no body. HTTP/2: no Connection header.
        assert await call(app, http(method="HEAD", version="2")) == (503, None, b"")
        assert await call(app, http("/l")) == (200, b"close", b"alive\n")

    asyncio.run(main())
    gs.wait(timeout=10)


def test_asgi_counts_and_a_failing_app_is_counted_out(gs):
    seen = []

    async def fails(scope, receive, send):
        seen.append(gs.in_flight)
        raise ValueError("the app's own")

    async def main():
        for kind in ("http", "websocket"):
            with pytest.raises(ValueError):
                await call(asgi.Middleware(fails), http(kind=kind))

    asyncio.run(main())
    assert seen == [1, 1] and gs.in_flight == 0


def test_a_websocket_is_refused_in_drain(gs):
    app = asgi.Middleware(hello)

    async def main(extensions):
        sent = []

        async def send(message):
            sent.append(message)

        async def receive():
            return {"type": "websocket.connect"}

        await app({"type": "websocket", "path": "/", "http_version": "1.1", "extensions": extensions}, receive, send)
        return sent

    async def all_of_it():
        app._start().up()
        gs.stop("test")
        until(lambda: gs.draining)
        assert (await main({"websocket.http.response": {}}))[0]["status"] == 503
        assert await main({}) == [{"type": "websocket.close", "code": 1013}]

    asyncio.run(all_of_it())
    gs.wait(timeout=10)


def test_the_lifespan_of_a_test_client_stops_nothing(gs):
    app = fastapi.FastAPI()
    app.add_middleware(asgi.Middleware, ready="/readyz")

    @app.get("/")
    def home(request: fastapi.Request):
        return {"same": request.state.graceshut is gs}

    for _ in range(2):
        with TestClient(app) as client:
            assert client.get("/").json() == {"same": True} and client.get("/readyz").status_code == 200
    assert gs.state == "armed"


def lifespan(app, failing=False):
    """Plays a server: startup, then shutdown."""
    sent = []

    async def main():
        events = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]

        async def receive():
            return events.pop(0)

        async def send(message):
            sent.append(message["type"])

        await app({"type": "lifespan", "asgi": {}, "state": {}}, receive, send)

    asyncio.run(main())
    return sent


def test_an_app_without_a_lifespan_gets_one(gs):
    async def only_http(scope, receive, send):
        assert scope["type"] == "http"

    assert lifespan(asgi.Middleware(only_http)) == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert gs.serving


def test_one_around_another_counts_once(gs):
    seen = []

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            assert (await receive())["type"] == "lifespan.startup"
            await send({"type": "lifespan.startup.complete"})
            assert (await receive())["type"] == "lifespan.shutdown"
            await send({"type": "lifespan.shutdown.complete"})
        else:
            seen.append(gs.in_flight)
            await hello(scope, receive, send)

    inner = asgi.Middleware(app, ready="/inner")
    outer = asgi.Middleware(inner, ready="/outer")
    assert lifespan(outer) == ["lifespan.startup.complete", "lifespan.shutdown.complete"]

    async def main():
        assert (await call(outer, http()))[0] == (await call(outer, http("/inner")))[0] == (await call(outer, http("/outer")))[0] == 200

    asyncio.run(main())
    assert seen == [1]


def test_a_failing_startup_stays_one(gs):
    async def fails(scope, receive, send):
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})
        raise RuntimeError("no database")

    async def main():
        sent = []

        async def receive():
            return {"type": "lifespan.startup"}

        async def send(message):
            sent.append(message["type"])

        with pytest.raises(RuntimeError):
            await asgi.Middleware(fails)({"type": "lifespan"}, receive, send)
        assert sent == ["lifespan.startup.failed"]

    asyncio.run(main())


@pytest.mark.parametrize("bad", [{"ready": "readyz"}, {"live": ""}, {"websocket_code": 1000}])
def test_bad_options_are_named(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        asgi.Middleware(hello, **bad)
    with pytest.raises(TypeError):
        asgi.Middleware(None)
    with pytest.raises(TypeError):
        wsgi.Middleware(3)


class Body:
    closed = 0

    def __iter__(self):
        return iter([b"a", b"b"])

    def close(self):
        self.closed += 1


def wsgi_call(app, path="/", method="GET", body=b"", **environ):
    started = []
    environ = {
        "PATH_INFO": path, "REQUEST_METHOD": method, "CONTENT_LENGTH": str(len(body)), "wsgi.input": io.BytesIO(body),
        "SERVER_SOFTWARE": "Granian", **environ,
    }
    result = app(environ, lambda status, headers, *error: started.append((status, dict(headers))))
    return started[0] if started else None, result, environ


def test_wsgi_counts_until_close_and_refuses(gs):
    body = Body()

    def plain(environ, start_response):
        start_response("200 OK", [("Connection", "keep-alive")])
        return body

    app = wsgi.Middleware(plain, ready="/r")
    (status, headers), result, _ = wsgi_call(app)
    assert status == "200 OK" and headers == {"Connection": "keep-alive"} and gs.in_flight == 1
    assert list(result) == [b"a", b"b"] and gs.in_flight == 1
    result.close()
    result.close()
    assert gs.in_flight == 0 and body.closed == 1
    assert wsgi_call(app, "/r")[0][0] == "200 OK"
    gs.stop("test")
    until(lambda: gs.stopping)
    assert wsgi_call(app, "/r")[0] == ("503 Service Unavailable", {"Content-Type": "text/plain; charset=utf-8", "Content-Length": "9", "Connection": "close"})
    until(lambda: gs.draining)
    (status, headers), result, environ = wsgi_call(app, method="POST", body=b"12345")
    assert status.startswith("503") and headers["Connection"] == "close" and environ["wsgi.input"].read() == b""
    # wsgiref raises for a hop-by-hop header: not said there.
    (_, headers), _, _ = wsgi_call(app, SERVER_SOFTWARE="WSGIServer/0.2")
    assert "Connection" not in headers
    gs.wait(timeout=10)


def test_wsgi_failing_app_and_file_wrapper(gs):
    def fails(environ, start_response):
        raise ValueError("the app's own")

    with pytest.raises(ValueError):
        wsgi_call(wsgi.Middleware(fails))
    assert gs.in_flight == 0

    class FileWrapper(Body):
        pass

    file = FileWrapper()
    _, result, _ = wsgi_call(wsgi.Middleware(lambda e, s: file), **{"wsgi.file_wrapper": FileWrapper})
    assert result is file and gs.in_flight == 1
    result.close()
    assert gs.in_flight == 0 and file.closed == 1


def test_the_plan_does_not_wait_for_those_who_never_came(gs):
    """A server nobody asks anything of is gone soon: the quiet is 150 ms, not the whole second of patience."""
    app = asgi.Middleware(hello)

    async def main():
        app._start().up()

    asyncio.run(main())
    began = time.monotonic()
    gs.stop("test", grace=10)
    assert gs.wait(timeout=10) == 0 and time.monotonic() - began < 1.0


def test_a_server_that_starts_during_the_shutdown_stops_as_ever(gs):
    app = asgi.Middleware(hello)
    gs.stop("before anything was served")
    until(lambda: gs.stopping)
    assert asyncio.run(call(app, http()))[0] in (200, 503)
    assert gs.wait(timeout=10) == 0
    assert "server" not in [h["name"] for p in gs.report()["phases"] for h in p["hooks"]]


def test_two_threads_start_one_server(gs):
    from graceshut import _server

    found = []
    threads = [threading.Thread(target=lambda: found.append(_server.of())) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(set(map(id, found))) == 1
    for one in found:
        one.up()
    assert gs.plan().count("server") == 1 or gs.state == "armed"


MISSING = [
    ("uvicorn", "run", (None,)), ("hypercorn", "run", (None,)), ("flask", "run", (None,)), ("celery", "follow", ()),
    ("arq", "run", (None,)),
]


@pytest.mark.parametrize("name, call, args", MISSING)
def test_a_missing_package_names_its_extra(name, call, args, monkeypatch):
    import importlib
    import sys

    package = {"flask": "werkzeug.serving", "arq": "arq.worker", "hypercorn": "hypercorn.asyncio"}.get(name, name)
    monkeypatch.setitem(sys.modules, package, None)
    module = importlib.import_module("graceshut." + name)
    with pytest.raises(ImportError, match=r"pip install 'graceshut\[%s\]'" % name):
        getattr(module, call)(*args)


def test_importing_an_adapter_imports_no_package():
    import subprocess
    import sys

    names = "asgi wsgi uvicorn hypercorn gunicorn http_server flask celery arq aiokafka confluent_kafka".split()
    code = (
        "import sys\n" + "".join("import graceshut.%s\n" % name for name in names)
        + "import threading\nassert threading.active_count() == 1\n"
        + "foreign = {'uvicorn', 'hypercorn', 'gunicorn', 'werkzeug', 'celery', 'arq', 'aiokafka', 'confluent_kafka'}\n"
        + "assert not foreign & set(sys.modules), foreign & set(sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=30).returncode == 0
