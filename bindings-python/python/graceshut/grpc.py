"""gRPC: ``graceshut.grpc.follow(server)`` after ``server.start()``, for ``grpc.server`` and ``grpc.aio.server``.

In ``drain`` new connections are turned away, then the server's own stop runs: it takes no new call and lets those under way
finish. Readiness is the admin endpoint's (``install(admin=…)``) or the health service's, which is the program's.
"""

from __future__ import annotations

import asyncio
import inspect

from . import _loops, _server
from ._http import stream_seconds
from ._listener import call_on

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import timedelta
    from typing import Any, Optional, Union

    from . import GraceShut
    from ._graceshut import Context

__all__ = ["follow"]


def follow(server: Any, *, end_streams_after: Union[float, timedelta, None] = None, gs: Optional[GraceShut] = None, name: str = "grpc") -> None:
    """Makes the server's stop part of the plan. Call it once the server listens; an aio server's in its loop.

    end_streams_after: seconds from the end of its listener after which calls under way are cancelled (their clients see
        CANCELLED). None: until shortly before the hook's deadline.
    gs: the install to follow; by default the one there is, else one is made.

    Raises TooLate when ``drain`` is over.
    """
    import graceshut

    install = gs if gs is not None and gs._open else graceshut.current() or graceshut.install()
    limit = stream_seconds(end_streams_after)
    ours = _server.Server(install, name)
    ours.stop_waits = True

    def grace(ctx: Optional[Context]) -> Optional[float]:
        left = ctx.remaining if ctx is not None else 0.0
        soft = None if left is None else max(left - min(max(0.25 * left, 0.1), 10.0), 0.0)
        return soft if limit is None else limit if soft is None else min(limit, soft)

    if inspect.iscoroutinefunction(server.stop):
        loop = _loops.Asyncio(asyncio.get_running_loop())
        ours.stop = lambda ctx: call_on(loop, lambda: server.stop(grace(ctx)), ctx)
    else:
        ours.stop = lambda ctx: server.stop(grace(ctx)).wait(None if ctx is None else ctx.remaining)
    ours.follow()
    ours.stopping = bool(install.stopping)
    ours.join(holds=True)
