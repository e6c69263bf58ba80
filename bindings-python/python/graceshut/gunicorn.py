"""gunicorn: ``gunicorn -c python:graceshut.gunicorn app:app``, for sync, gthread, gevent, asgi and uvicorn's workers.

With a configuration file of your own, write ``from graceshut.gunicorn import *`` at its top. Each worker has its own plan;
the app is wrapped in ``graceshut.wsgi.Middleware`` or ``graceshut.asgi.Middleware`` unless it already is, with the routes
``ready`` and ``live`` of this module (None leaves them to the app). The arbiter has no hooks; it waits for its workers.
"""

from __future__ import annotations

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
    global _server_here
    from . import _server

    attribute = "asgi" if hasattr(worker, "asgi") else "wsgi"
    is_asgi = attribute == "asgi" or hasattr(worker, "config") and "uvicorn" in type(worker).__module__
    setattr(worker, attribute, _wrapped(getattr(worker, attribute), is_asgi))
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
    if not is_asgi:
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


def _wrapped(app: Any, is_asgi: bool) -> Any:
    from . import asgi, wsgi

    kind: Any = asgi.Middleware if is_asgi else wsgi.Middleware
    if isinstance(app, kind):
        return app
    return kind(app, ready=ready, live=live, end_streams_after=end_streams_after, stream_types=stream_types)
