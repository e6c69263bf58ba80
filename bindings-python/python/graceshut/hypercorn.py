"""hypercorn: ``graceshut.hypercorn.run(app, bind=["0.0.0.0:8000"])`` in this process, or the plain command.

The ``hypercorn`` command needs no more than ``graceshut.asgi.Middleware`` around the app. Its workers are not told by a
signal but by an event that the main process sets; the middleware sees to it that they stop by the plan then.
"""

from __future__ import annotations

import sys

from . import _server

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import timedelta
    from typing import Any, Awaitable, Callable, Iterable, Optional, Union

    from . import GraceShut

__all__ = ["run"]


def run(
    app: Any, *, ready: Optional[str] = None, live: Optional[str] = None,
    end_streams_after: Union[float, timedelta, None] = None, stream_types: Iterable[str] = (), gs: Optional[GraceShut] = None, **options: Any,
) -> None:
    """Serves ``app`` in this process until it is told to stop, then runs the plan.

    ready, live, end_streams_after, stream_types, gs: as for :class:`graceshut.asgi.Middleware`. options: keys of ``hypercorn.Config``.
    Call it in the main thread. Raises ImportError without hypercorn. Returns when the plan is over.
    """
    try:
        from hypercorn.asyncio import serve
        from hypercorn.config import Config
    except ImportError as error:
        raise ImportError("graceshut.hypercorn needs hypercorn: pip install 'graceshut[hypercorn]'") from error
    import asyncio

    import graceshut

    from .asgi import Middleware

    if not isinstance(app, Middleware):
        app = Middleware(app, ready=ready, live=live, end_streams_after=end_streams_after, stream_types=stream_types, gs=gs)
    asyncio.run(serve(app, Config.from_mapping(options)))
    install = gs if gs is not None else graceshut.current()
    if install is not None and install._open and not install._manual and install.stopping:
        _server.wait_to_the_end(install)


def adopt() -> None:
    """In a worker of the ``hypercorn`` command: its wait for the main process's event becomes a trigger, and the worker
    stops when the plan says so. Does nothing elsewhere."""
    module: Any = sys.modules.get("hypercorn.asyncio.run")
    wait = getattr(module, "check_multiprocess_shutdown_event", None)
    if wait is not None and not hasattr(wait, "graceshut"):
        module.check_multiprocess_shutdown_event = _by_plan(wait)


def _by_plan(wait: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    async def by_plan(event: Any, sleep: Callable[[float], Awaitable[Any]]) -> None:
        await wait(event, sleep)
        from ._runtime import current

        gs = current()
        if gs is None:
            return
        server = _server.of(gs)
        gs.stop("hypercorn's main process stops its workers")
        while not server.released and gs._open:
            await sleep(0.01)

    by_plan.graceshut = True  # type: ignore[attr-defined]
    return by_plan
