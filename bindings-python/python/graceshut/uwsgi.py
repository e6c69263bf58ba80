"""uWSGI: ``app = graceshut.uwsgi.wrap(app, setup)`` in the file that uWSGI loads, with ``--die-on-term``.

Each process that serves has its own plan: one process alone, or every worker under a master, with and without ``--lazy-apps``.
``setup(gs)`` registers its hooks; it is called once in each of them, in its main thread, before the first request. The master
has no plan; it ends its workers by SIGINT, which is kept from uWSGI's own handler: the handler ends the worker when its plan is over.

What the master ends by itself is out of reach: under ``--master --http`` its router is stopped first, and connections through
it are cut as they are without graceshut. ``--http-socket`` has no router.
"""

from __future__ import annotations

import os
import signal
from importlib import import_module

from . import _server, _uwsgi, wsgi

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import timedelta
    from typing import Any, Callable, Iterable, Optional, Union

    from . import GraceShut
    from .wsgi import App

__all__ = ["wrap"]


def wrap(
    app: App, setup: Optional[Callable[[GraceShut], object]] = None, *, ready: Optional[str] = None, live: Optional[str] = None,
    end_streams_after: Union[float, timedelta, None] = None, stream_types: Iterable[str] = (), **options: Any,
) -> wsgi.Middleware:
    """The app in a :class:`graceshut.wsgi.Middleware`, and an install in each process that serves it.

    setup: called there with the install, to register hooks. ready, live, end_streams_after, stream_types: as for the middleware.
    options: as for :func:`graceshut.install`. Call it when the file is loaded. Raises ImportError outside uWSGI.
    """
    try:
        uwsgi: Any = import_module("uwsgi")
    except ImportError as error:
        raise ImportError("graceshut.uwsgi works inside uWSGI alone: load the file with uwsgi --module") from error

    # The master ends its workers by it, also where it was started with it ignored, as a shell's background job is.
    options["signals"] = {"INT": "stop", **(options.get("signals") or {})}
    not_set_up = [setup]

    def start() -> None:
        import graceshut

        gs = graceshut.install(**options)
        hooks = not_set_up.pop() if not_set_up else None
        if hooks is not None:
            hooks(gs)
        server = _server.of(gs)
        # The workers' listener is the master's too, which closes it when all of them are gone. A worker that ends alone
        # (reload, max-requests) is not ended by SIGINT, and leaves it to the others at once.
        server.all_holders_stop = True
        if _uwsgi.has_master(uwsgi):
            server.whole = lambda: gs.reason is not None and gs.reason.signal == "INT"
        server.up()

    if _uwsgi.serves_here():
        start()
    else:
        master, before = os.getpid(), getattr(uwsgi, "post_fork_hook", None)

        def in_worker() -> None:
            if os.getpid() != master:
                _started(start)
            if before is not None:
                before()

        uwsgi.post_fork_hook = in_worker
    return wsgi.Middleware(app, ready=ready, live=live, end_streams_after=end_streams_after, stream_types=stream_types)


def _started(start: Callable[[], None]) -> None:
    """A SIGINT of the master's that comes before the worker is ready is not lost in an exception here: it comes again."""
    try:
        start()
    except KeyboardInterrupt:
        start()
        os.kill(os.getpid(), signal.SIGINT)
