"""uvicorn: ``graceshut.uvicorn.run(app)``, with the arguments of ``uvicorn.run``.

The plain ``uvicorn`` command needs no more than ``graceshut.asgi.Middleware`` around the app; this puts it there.
"""

from __future__ import annotations

import sys

from . import _server

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import timedelta
    from typing import Any, Iterable, Optional, Union

    from . import GraceShut

__all__ = ["run", "config"]


def _uvicorn() -> Any:
    try:
        import uvicorn
    except ImportError as error:
        raise ImportError("graceshut.uvicorn needs uvicorn: pip install 'graceshut[uvicorn]'") from error
    return uvicorn


def config(
    app: Any, *, ready: Optional[str] = None, live: Optional[str] = None,
    end_streams_after: Union[float, timedelta, None] = None, stream_types: Iterable[str] = (), gs: Optional[GraceShut] = None, **options: Any,
) -> Any:
    """A ``uvicorn.Config`` whose app is wrapped in :class:`graceshut.asgi.Middleware`; ``options`` are uvicorn's."""
    uvicorn = _uvicorn()
    from .asgi import Middleware

    if isinstance(app, str):
        if options.get("reload") or (options.get("workers") or 1) > 1:
            raise ValueError("with reload or workers, uvicorn imports the app itself: wrap it there in graceshut.asgi.Middleware")
        from uvicorn.importer import import_from_string

        app = import_from_string(app)
    # Added by the program itself: FastAPI and Starlette keep a list.
    added = any(getattr(one, "cls", None) is Middleware for one in getattr(app, "user_middleware", ()))
    if not isinstance(app, Middleware) and not added:
        app = Middleware(app, ready=ready, live=live, end_streams_after=end_streams_after, stream_types=stream_types, gs=gs)
    return uvicorn.Config(app, **options)


def run(
    app: Any, *, ready: Optional[str] = None, live: Optional[str] = None,
    end_streams_after: Union[float, timedelta, None] = None, stream_types: Iterable[str] = (), gs: Optional[GraceShut] = None, **options: Any,
) -> None:
    """Serves ``app`` until the process is told to stop, then runs the plan.

    ready, live, end_streams_after, stream_types, gs: as for :class:`graceshut.asgi.Middleware`. options: as for ``uvicorn.run``.
    Call it in the main thread. Raises ImportError without uvicorn, SystemExit where the start fails. Returns when the plan is over.
    """
    uvicorn = _uvicorn()
    import graceshut

    server = uvicorn.Server(config(app, ready=ready, live=live, end_streams_after=end_streams_after, stream_types=stream_types, gs=gs, **options))
    try:
        server.run()
    except KeyboardInterrupt:
        pass  # Ctrl-C: what uvicorn raises again after it has stopped
    if not server.started:
        sys.exit(3)  # as `uvicorn.run`: startup failed
    install = gs if gs is not None else graceshut.current()
    if install is not None and install._open and not install._manual and (install.stopping or install.state == "stopped"):
        _server.wait_to_the_end(install)
