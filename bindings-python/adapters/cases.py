"""The HTTP servers, as data: one row of the README's table each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Sequence

CONFIG = ["-c", "python:graceshut.gunicorn", "--log-level", "error", "-w", "2"]


@dataclass(frozen=True)
class Case:
    """`command` and `bare` have `{port}`; the first word is a program of the virtual environment."""

    name: str
    packages: Sequence[str]
    line: str
    command: Sequence[str]
    #: The same server and app without graceshut, for comparison.
    bare: Optional[Sequence[str]]
    #: Processes that have a plan, and so a report.
    processes: int = 1
    #: Its app has a lifespan, which the server ends.
    lifespan: bool = True
    #: One run, without an announce delay, and no storm: what differs from the others is how it is told and stopped.
    quick: bool = False


def _gunicorn(worker: str, app: str, bare_app: str, *more: str, **rest: object) -> dict:
    command = ["gunicorn", *CONFIG, "-b", "127.0.0.1:{port}", "-k", worker, *more, app]
    bare = ["gunicorn", "--log-level", "error", "-w", "2", "-b", "127.0.0.1:{port}", "-k", worker, *more, bare_app]
    return {"line": "`gunicorn -c python:graceshut.gunicorn`", "command": command, "bare": bare, "processes": 2, **rest}


MIDDLEWARE = "`app = graceshut.asgi.Middleware(app)`"
UVICORN = ["uvicorn", "--no-access-log", "--log-level", "error", "--port", "{port}"]
BARE_UVICORN = [*UVICORN, "bare_app:asgi"]
GRANIAN = ["granian", "--no-log", "--port", "{port}"]

WSGI = "`app = graceshut.wsgi.Middleware(app)`"


def _program(name: str, packages: Sequence[str], file: str, word: str, line: str = WSGI, lifespan: bool = False) -> Case:
    """A server that is a program of `services`; with `bare` behind, without graceshut."""
    command = ["python", file, word, "{port}"]
    return Case(name, packages, line, command, [*command, "bare"], lifespan=lifespan, quick=True)


CASES = [
    Case("uvicorn, command", ["uvicorn"], MIDDLEWARE, [*UVICORN, "asgi_app:app"], BARE_UVICORN),
    Case("uvicorn, command, 2 workers", ["uvicorn"], MIDDLEWARE, [*UVICORN, "--workers", "2", "asgi_app:app"],
         [*UVICORN, "--workers", "2", "bare_app:asgi"], processes=2),
    Case("uvicorn, program", ["uvicorn"], "`graceshut.uvicorn.run(app)`", ["python", "asgi_plain.py", "uvicorn", "{port}"],
         None),
    Case("FastAPI on uvicorn", ["fastapi", "uvicorn"], "`app.add_middleware(graceshut.asgi.Middleware)`",
         [*UVICORN, "fastapi_app:app"], None),
    Case("hypercorn, command", ["hypercorn"], MIDDLEWARE, ["hypercorn", "-b", "127.0.0.1:{port}", "asgi_app:app"],
         ["hypercorn", "-b", "127.0.0.1:{port}", "bare_app:asgi"]),
    Case("hypercorn, `-w 0`", ["hypercorn"], MIDDLEWARE, ["hypercorn", "-w", "0", "-b", "127.0.0.1:{port}", "asgi_app:app"],
         ["hypercorn", "-w", "0", "-b", "127.0.0.1:{port}", "bare_app:asgi"]),
    Case("hypercorn, program", ["hypercorn"], "`graceshut.hypercorn.run(app)`",
         ["python", "asgi_plain.py", "hypercorn", "{port}"], None),
    Case("granian, asgi", ["granian"], MIDDLEWARE, [*GRANIAN, "--interface", "asgi", "asgi_app:app"],
         [*GRANIAN, "--interface", "asgi", "bare_app:asgi"]),
    Case("granian, wsgi", ["granian"], "`app = graceshut.wsgi.Middleware(app)`",
         [*GRANIAN, "--interface", "wsgi", "--blocking-threads", "8", "wsgi_app:wrapped"],
         [*GRANIAN, "--interface", "wsgi", "--blocking-threads", "8", "bare_app:wsgi"], lifespan=False),
    Case("gunicorn, sync", ["gunicorn"], **_gunicorn("sync", "wsgi_app:app", "bare_app:wsgi", lifespan=False)),
    Case("gunicorn, gthread", ["gunicorn"],
         **_gunicorn("gthread", "wsgi_app:app", "bare_app:wsgi", "--threads", "8", lifespan=False)),
    Case("gunicorn, gevent", ["gunicorn", "gevent"], quick=True,
         **_gunicorn("gevent", "wsgi_app:app", "bare_app:wsgi", lifespan=False)),
    Case("gunicorn, asgi", ["gunicorn"], **_gunicorn("asgi", "asgi_plain:app", "bare_app:asgi")),
    Case("gunicorn, aiohttp worker", ["gunicorn", "aiohttp"], quick=True,
         **_gunicorn("aiohttp.GunicornWebWorker", "gunicorn_apps:hooked", "gunicorn_apps:factory")),
    Case("gunicorn, uvicorn worker", ["gunicorn", "uvicorn-worker"],
         **_gunicorn("uvicorn_worker.UvicornWorker", "asgi_plain:app", "bare_app:asgi")),
    Case("daphne", ["daphne"], MIDDLEWARE, ["daphne", "-v", "0", "-p", "{port}", "asgi_app:app"],
         ["daphne", "-v", "0", "-p", "{port}", "bare_app:asgi"], lifespan=False, quick=True),
    _program("aiohttp, `run_app`", ["aiohttp"], "aiohttp_app.py", "run_app", "`graceshut.aiohttp.run_app(app)`"),
    _program("aiohttp, AppRunner", ["aiohttp"], "aiohttp_app.py", "runner", "`graceshut.aiohttp.follow(app)`"),
    _program("waitress", ["waitress"], "wsgi_servers.py", "waitress"),
    _program("sanic", ["sanic"], "listener_apps.py", "sanic", "`gs.listener(None, None)`"),
    _program("tornado", ["tornado"], "listener_apps.py", "tornado", "`gs.listener(sockets, close)`"),
    _program("gevent's pywsgi", ["gevent"], "wsgi_servers.py", "gevent"),
    _program("cheroot", ["cheroot"], "wsgi_servers.py", "cheroot"),
    _program("Django's runserver", ["django"], "wsgi_servers.py", "runserver"),
    Case("http.server", [], "`sys.exit(graceshut.http_server.serve(server))`", ["python", "std_server.py", "std", "{port}"],
         ["python", "std_server.py", "std", "{port}", "bare"], lifespan=False),
    Case("Flask's own server", ["flask", "werkzeug"], "`graceshut.flask.run(app)`",
         ["python", "std_server.py", "flask", "{port}"], ["python", "std_server.py", "flask", "{port}", "bare"], lifespan=False),
]
