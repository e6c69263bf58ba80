"""gunicorn: ``gunicorn -c python:graceshut.gunicorn app:app``, for sync, gthread, gevent, asgi, uvicorn's and aiohttp's workers.

With a configuration file of your own, write ``from graceshut.gunicorn import *`` at its top. Each worker has its own plan;
the app is wrapped in ``graceshut.wsgi.Middleware`` or ``graceshut.asgi.Middleware`` unless it already is, with the routes
``ready`` and ``live`` of this module (None leaves them to the app); an aiohttp application is followed. A worker class that is
not known with an app that is not WSGI is left alone, with a warning. The arbiter has no hooks; it waits for its workers.
"""

from __future__ import annotations

import inspect
import os
import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    import mmap
    from typing import Any, Optional

    from ._server import Server

__all__ = ["graceful_timeout", "on_starting", "post_worker_init", "worker_exit"]

#: Paths that the middleware answers, where this module puts it around the app.
ready: Optional[str] = "/readyz"
live: Optional[str] = "/livez"
#: Seconds from the start of ``drain`` after which endless answers are ended, as for the two middlewares.
end_streams_after: Optional[float] = None
#: Content types that say that an answer is endless, beside those of the middlewares.
stream_types: tuple[str, ...] = ()

#: After this many seconds the arbiter kills a worker; the plan's own deadline comes first.
graceful_timeout = 120

#: One byte shared with the workers: the arbiter stops, all of them.
_all_stop: Optional[mmap.mmap] = None
_server_here: Optional[Server] = None


def on_starting(arbiter: Any) -> None:
    """In the arbiter, before it listens: notes in shared memory when all the workers are to stop."""
    import mmap

    global _all_stop
    flag = _all_stop = mmap.mmap(-1, 1)
    stop = arbiter.stop

    def stop_all(graceful: bool = True) -> None:
        flag[0] = 1
        stop(graceful)

    arbiter.stop = stop_all


def post_worker_init(worker: Any) -> None:
    """In a worker, once it has the app: the plan, and the middleware."""
    kind = _kind(worker)
    if kind is None:
        worker.log.warning(
            "graceshut: %s with an app that is %r is not known here and left as it is: see graceshut.asgi and Listener",
            type(worker).__name__, type(_app(worker)).__name__,
        )
        return
    if kind == "aiohttp":
        _follow(worker)
        return
    setattr(worker, "asgi" if hasattr(worker, "asgi") else "wsgi", _wrapped(_app(worker), kind == "asgi"))
    server = _begin(worker)
    if kind == "wsgi":
        if hasattr(worker, "max_keepalived"):
            # With no room for kept connections gthread closes them after their next answer. Those it has stay.
            server.told_early.append(lambda: setattr(worker, "max_keepalived", 0))
        elif hasattr(worker, "timeout_ctx"):
            # gevent, eventlet: each kept connection is a greenlet that goes on asking the parser until this is 0.
            server.told_early.append(lambda: worker.cfg.set("keepalive", 0))
        server.up()


def worker_exit(arbiter: Any, worker: Any) -> None:
    """In a worker that ends: it has closed what it had open."""
    server = _server_here
    if server is not None and server.pid == os.getpid() and server.gone is not None:
        server.gone.set()


def _begin(worker: Any) -> Server:
    """The plan of this worker; made here if the app has made none."""
    global _server_here
    from . import _server

    server = _server_here = _server.of()
    server.gone, server.stop_waits = threading.Event(), True
    if _all_stop is not None:
        flag = _all_stop
        # A worker that goes alone (reload, TTOU, max_requests) leaves the queue to the others at once.
        server.whole = lambda: bool(flag[0])
        server.all_holders_stop = True
    grace = server.gs.config().get("grace", {}).get("value")
    if grace is not None and server.gs._seconds(grace, "grace") > worker.cfg.graceful_timeout:
        worker.log.warning(
            "graceshut: grace is %s, but gunicorn kills its workers after graceful_timeout = %s s",
            grace, worker.cfg.graceful_timeout,
        )
    return server


#: Where the workers are defined that serve WSGI apps alone. Others may be given something else.
_WSGI = tuple("gunicorn.workers." + name for name in ("sync", "gthread", "base_async", "ggevent", "geventlet"))


def _app(worker: Any) -> Any:
    return worker.asgi if hasattr(worker, "asgi") else worker.wsgi


def _kind(worker: Any) -> Optional[str]:
    """What the worker takes its app for: ``wsgi``, ``asgi`` or ``aiohttp``. None: not known."""
    modules = {one.__module__ for one in type(worker).__mro__}  # of a program's own subclass too
    app = _app(worker)
    if "aiohttp.worker" in modules:
        return "aiohttp"
    if hasattr(worker, "asgi"):
        return "asgi"
    if not {"uvicorn", "uvicorn_worker"}.isdisjoint(module.partition(".")[0] for module in modules):
        interface = getattr(getattr(worker, "config", None), "interface", "auto")
        return "asgi" if interface in ("auto", "asgi3") and _takes(app, 3) else None
    if not modules.isdisjoint(_WSGI):
        return "wsgi" if _takes(app, 2) else None
    is_wsgi = _takes(app, 2) and not _takes(app, 3) and not inspect.iscoroutinefunction(app)
    return "wsgi" if is_wsgi else None


def _takes(app: Any, count: int) -> bool:
    """Whether it can be called with so many arguments. What does not say is taken for an app of any kind."""
    try:
        inspect.signature(app).bind(*range(count))
    except TypeError:
        return False
    except ValueError:
        pass
    return True


def _follow(worker: Any) -> None:
    """aiohttp's: its application, or the coroutine function that makes it or its runner in the worker's loop."""
    from . import aiohttp

    def follow(made: Any) -> Any:
        application = getattr(made, "app", made)
        if not hasattr(application, "on_response_prepare"):
            return made  # the worker's to refuse
        if not aiohttp.is_followed(application):
            aiohttp.follow(application, ready=ready, live=live, end_streams_after=end_streams_after, stream_types=stream_types)
        _begin(worker)
        return made

    app = worker.wsgi
    if not inspect.iscoroutinefunction(app):
        follow(app)
        return

    async def make() -> Any:
        return follow(await app())  # it may install with options of its own

    worker.wsgi = make


def _wrapped(app: Any, is_asgi: bool) -> Any:
    from . import asgi, wsgi

    kind: Any = asgi.Middleware if is_asgi else wsgi.Middleware
    if isinstance(app, kind):
        return app
    return kind(app, ready=ready, live=live, end_streams_after=end_streams_after, stream_types=stream_types)
