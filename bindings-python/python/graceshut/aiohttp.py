"""aiohttp: ``graceshut.aiohttp.run_app(app)`` in place of ``web.run_app(app)``.

With an ``AppRunner`` of your own, ``graceshut.aiohttp.follow(app)`` before it is set up: the signal is kept from your handler
until the server's turn, and given to it then. Requests are counted, refused with 503 from ``drain`` on, and told to close
from the signal on; open websockets are closed with 1012. ``request["graceshut"]`` is the install.
"""

from __future__ import annotations

import asyncio
import functools

from . import _server
from ._http import REFUSED, Endless, Routes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import timedelta
    from typing import Any, Iterable, Optional, Union

    from . import GraceShut
    from ._graceshut import Context

__all__ = ["follow", "run_app"]

#: Between two websockets that are told.
_SPREAD_EACH = 0.02


def run_app(
    app: Any, *, ready: Optional[str] = None, live: Optional[str] = None,
    end_streams_after: Union[float, timedelta, None] = None, stream_types: Iterable[str] = (), gs: Optional[GraceShut] = None, **options: Any,
) -> None:
    """Serves ``app`` until the process is told to stop, then runs the plan.

    ready, live, end_streams_after, stream_types, gs: as for :func:`follow`. options: as for ``web.run_app``.
    Call it in the main thread. Raises ImportError without aiohttp. Returns when the plan is over.
    """
    web = _web()
    follow(app, ready=ready, live=live, end_streams_after=end_streams_after, stream_types=stream_types, gs=gs)
    install = _server.of(gs).gs
    web.run_app(app, **options)
    if install._open and not install._manual and install.stopping:
        _server.wait_to_the_end(install)


def follow(
    app: Any, *, ready: Optional[str] = None, live: Optional[str] = None,
    end_streams_after: Union[float, timedelta, None] = None, stream_types: Iterable[str] = (), gs: Optional[GraceShut] = None,
) -> None:
    """Makes the stop of ``app``'s server part of the plan; call it before the app is started.

    ready, live: paths answered here: 200, and 503 for ``ready`` once stopping.
    end_streams_after: seconds from the start of ``drain`` after which handlers that still write a stream, or have not begun to
        answer a GET, are cancelled; the stream gets its end, the other a 503. None: they take the time ``drain`` has.
    stream_types: content types that say of an answer without a Content-Length that it is such a stream, beside
        ``text/event-stream`` and ``multipart/x-mixed-replace``. A download of another type is left to end.
    gs: the install to follow; by default the one there is, else one is made.
    """
    web = _web()
    one = _App(_server.of(gs), Routes(ready, live), Endless(end_streams_after, stream_types), web)

    async def counted(request: Any, handler: Any) -> Any:
        return await one.handle(request, handler)

    counted.graceshut = one  # type: ignore[attr-defined]
    # It marks the function, which a method does not let it.
    app.middlewares.insert(0, web.middleware(counted))
    app.on_response_prepare.append(one.prepared)
    app.on_startup.append(one.started)


def is_followed(app: Any) -> bool:
    return any(hasattr(one, "graceshut") for one in app.middlewares)


def _web() -> Any:
    try:
        from aiohttp import web
    except ImportError as error:
        raise ImportError("graceshut.aiohttp needs aiohttp: pip install 'graceshut[aiohttp]'") from error
    return web


class _App:
    """All of it in the loop's thread, but :meth:`_tell`."""

    def __init__(self, server: _server.Server, routes: Routes, endless: Endless, web: Any) -> None:
        self._server, self._routes, self._endless, self._web = server, routes, endless, web
        #: The tasks whose handlers run: the request of each, and the answer it has begun.
        self._open: dict[Any, list[Any]] = {}
        self._ended: set[Any] = set()
        self._loop: Any = None

    async def started(self, app: Any) -> None:
        self._loop = asyncio.get_running_loop()
        server = self._server
        server.stop_waits = True  # for `shutdown_timeout`, 60 s unless said otherwise
        server.told.append(self._tell)
        server.up()

    async def prepared(self, request: Any, response: Any) -> None:
        of_task = self._open.get(asyncio.current_task())
        if of_task is not None and of_task[0] is request:
            of_task[1] = response
        if self._server.stopping and not isinstance(response, self._web.WebSocketResponse):
            # Its own headers are made before this is called.
            response.force_close()
            response.headers["Connection"] = "close"

    async def handle(self, request: Any, handler: Any) -> Any:
        server, web = self._server, self._web
        if request.path in self._routes.paths:
            status, body = self._routes.answer(request.path, server.stopping or bool(server.gs.stopping))
            return web.Response(status=status, body=body)
        if not server.gs.enter():
            server.refused()
            await request.read()
            return self._refusal()
        request["graceshut"] = server.gs
        task: Any = asyncio.current_task()
        self._open[task] = [request, None]
        try:
            return await handler(request)
        except asyncio.CancelledError:
            if task not in self._ended:
                raise
            if hasattr(task, "uncancel"):  # from Python 3.11 on
                task.uncancel()
            response = self._open[task][1]
            if response is None:
                return self._refusal()
            await response.write_eof()
            return response
        finally:
            del self._open[task]
            self._ended.discard(task)
            server.gs.leave()

    def _refusal(self) -> Any:
        response = self._web.Response(status=503, body=REFUSED)
        response.force_close()
        return response

    def _tell(self, ctx: Context) -> None:
        try:
            self._loop.call_soon_threadsafe(self._drain)
        except RuntimeError:
            pass  # closed: nothing is open any more

    def _drain(self) -> None:
        sockets = [one for _, one in self._open.values() if isinstance(one, self._web.WebSocketResponse)]
        for i, one in enumerate(sockets):
            close = functools.partial(one.close, code=1012, message=b"service restart")
            self._loop.call_later(_SPREAD_EACH * i, lambda close=close: asyncio.ensure_future(close()))
        if self._endless.after is not None:
            self._loop.call_later(self._endless.after, self._end_streams)

    def _end_streams(self) -> None:
        for task, (request, response) in list(self._open.items()):
            is_poll = response is None and request.method in ("GET", "HEAD")
            is_stream = response is not None and response.content_length is None and self._endless.names(response.content_type)
            if (is_poll or is_stream) and not isinstance(response, self._web.WebSocketResponse):
                self._ended.add(task)
                task.cancel()
