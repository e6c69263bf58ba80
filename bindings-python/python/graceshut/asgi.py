"""ASGI: one line around the app, whatever the server.

    app = graceshut.asgi.Middleware(app, ready="/readyz")        # any ASGI app
    app.add_middleware(graceshut.asgi.Middleware, ready="/readyz")  # FastAPI, Starlette

It counts http and websocket scopes as work in flight, serves through ``announce``, refuses from ``drain`` on with 503 and
``Connection: close``, and keeps SIGTERM and SIGINT from the server until then, so that the plain ``uvicorn``, ``granian``
and ``hypercorn -w 0`` commands stop as part of the plan. The app hears first: ``scope["state"]["graceshut"]`` (Starlette:
``request.state.graceshut``) is the install, with ``await ….stopping.wait()`` and ``if ….draining``. Its own lifespan ends
in phase ``close`` (``lifespan=``), before the hooks that were registered earlier there; the event loop lives until the last phase is over.
"""

from __future__ import annotations

import asyncio
import functools
import os
import random
import sys
import threading
import weakref

from . import _server, hypercorn
from ._asgi_answers import answer, closing, refuse, refuse_websocket
from ._asgi_streams import Streams
from ._http import Endless, Routes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import timedelta
    from typing import Any, Awaitable, Iterable, Optional, Union

    from . import GraceShut
    from ._asgi_answers import App, Message, Receive, Scope, Send
    from ._graceshut import Context

__all__ = ["Middleware"]

_MARK = "graceshut.middleware"
#: Websockets are told over at most this share of what ``drain`` has left,
_SPREAD_SHARE = 0.5
#: and not slower than one in this time.
_SPREAD_EACH = 0.02

_made: weakref.WeakSet[Middleware] = weakref.WeakSet()


class Middleware:
    """Wraps an ASGI 3 app.

    ready, live: paths answered here: 200, and 503 for ``ready`` once stopping. None: not answered here.
    websocket_code: what open websockets are closed with in ``drain``: 1012 (restart) or 1001 (going away).
    lifespan: the phase in which the app's lifespan ends; None: when the plan is over, after ``final``.
    end_streams_after: seconds from the start of ``drain`` after which endless answers are ended in order. Streams under way
        are told at once, by ``http.disconnect``; what is still unfinished then gets its final chunk, and a GET whose answer has
        not begun (a long poll) a 503. None: they take the time ``drain`` has.
    stream_types: content types that say of an answer without a Content-Length that it is such a stream, beside
        ``text/event-stream`` and ``multipart/x-mixed-replace``. A download of another type is left to end.
    gs: the install to follow; by default the one there is when the server starts, else one is made.
    """

    def __init__(
        self, app: App, *, ready: Optional[str] = None, live: Optional[str] = None, websocket_code: int = 1012,
        lifespan: Optional[str] = "close", end_streams_after: Union[float, timedelta, None] = None,
        stream_types: Iterable[str] = (), gs: Optional[GraceShut] = None,
    ) -> None:
        if not callable(app):
            raise TypeError("app is an ASGI app, not %r" % (app,))
        if websocket_code not in (1001, 1012):
            raise ValueError("websocket_code is 1001 or 1012, not %r" % (websocket_code,))
        self.app = app
        self._wanted, self._routes, self._code = gs, Routes(ready, live), websocket_code
        self._paths, self._lifespan_phase = self._routes.paths, lifespan
        self._endless = Endless(end_streams_after, stream_types)
        self._reset()
        _made.add(self)
        _follow_fork()
        if "hypercorn.asyncio.run" in sys.modules:
            hypercorn.adopt()

    def _reset(self) -> None:
        #: Another one stands around this one and does everything but the routes.
        self._nested = False
        self._server: Optional[_server.Server] = None
        self._sockets: set[_Socket] = set()
        self._loop: Optional[asyncio.AbstractEventLoop] = None
        self._streams: Optional[Streams] = None

    def _start(self, receive: Optional[Receive] = None) -> _server.Server:
        """In the process and the loop that serve."""
        server = _server.of(self._wanted)
        self._enter, self._leave = server.gs.enter, server.gs.leave
        self._loop = asyncio.get_running_loop()
        server.stop_waits = _server_of(receive) in _STOP_WAITS
        if self._endless.after is not None:
            self._streams = Streams(self._endless.after, self._endless)
            server.told.append(self._tell_streams)
        server.told.append(self._tell_sockets)
        server.busy.append(lambda: bool(self._sockets))
        self._server = server
        return server

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind == "http":
            server = self._server or self._started(receive)
            if self._paths and scope["path"] in self._paths:
                return await self._probe(server, scope, send)
            if self._nested:
                return await self.app(scope, receive, send)
            if not self._enter():
                server.refused()
                return await refuse(scope, receive, send)
            try:
                if scope["http_version"][0] == "1":

                    # Not a coroutine of its own: that would cost as much as all the rest here.
                    def hinting(message: Message) -> Awaitable[None]:
                        if server.stopping and message["type"] == "http.response.start":
                            message = closing(message)
                        return send(message)

                    if self._streams is None:
                        return await self.app(scope, receive, hinting)
                    return await self._streams.serve(self.app, scope, receive, hinting)
                if self._streams is None:
                    return await self.app(scope, receive, send)
                return await self._streams.serve(self.app, scope, receive, send)
            finally:
                self._leave()
        elif kind == "websocket":
            server = self._server or self._started(receive)
            if self._nested:
                return await self.app(scope, receive, send)
            if not self._enter():
                server.refused()
                return await refuse_websocket(scope, receive, send)
            try:
                await self._websocket(scope, receive, send)
            finally:
                self._leave()
        elif kind == "lifespan":
            if _MARK in scope:
                self._nested, self._server = True, _server.of(self._wanted)
                return await self.app(scope, receive, send)
            await _Lifespan(self, {**scope, _MARK: True}, receive, send).run()
        else:
            await self.app(scope, receive, send)

    def _started(self, receive: Receive) -> _server.Server:
        """A server that has no lifespan: with the first request."""
        server = self._start(receive)
        if _server_of(receive) == "daphne":
            from . import _daphne

            _daphne.hold_reactor(server)
        server.up()
        return server

    async def _probe(self, server: _server.Server, scope: Scope, send: Send) -> None:
        stopping = server.stopping or bool(server.gs.stopping)
        status, body = self._routes.answer(scope["path"], stopping)
        await answer(send, status, body, close=stopping and scope["http_version"][0] == "1", head=scope["method"] == "HEAD")

    def _tell_streams(self, ctx: Context) -> None:
        """``drain`` begins, on a worker."""
        loop, streams = self._loop, self._streams
        if loop is None or streams is None:
            return
        try:
            loop.call_soon_threadsafe(streams.tell)
        except RuntimeError:
            pass  # closed: no streams any more

    # ---- websockets

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        one = _Socket(receive, send, self._code)
        self._sockets.add(one)
        try:
            await self.app(scope, one.receive, one.send)
        finally:
            self._sockets.discard(one)

    def _tell_sockets(self, ctx: Context) -> None:
        """``drain`` begins, on a worker."""
        loop, remaining = self._loop, ctx.remaining
        if loop is None or not self._sockets:
            return
        try:
            loop.call_soon_threadsafe(self._spread, remaining)
        except RuntimeError:
            pass  # closed: no sockets any more

    def _spread(self, remaining: Optional[float]) -> None:
        sockets = list(self._sockets)
        random.shuffle(sockets)
        window = len(sockets) * _SPREAD_EACH
        if remaining is not None:
            window = min(window, remaining * _SPREAD_SHARE)
        loop = asyncio.get_running_loop()
        for i, one in enumerate(sockets):
            loop.call_later(window * i / len(sockets), one.tell)


class _Socket:
    """One websocket, between server and app."""

    __slots__ = ("_receive", "_send", "_code", "_accepted", "_told", "_over", "_task")

    def __init__(self, receive: Receive, send: Send, code: int) -> None:
        self._receive, self._send, self._code = receive, send, code
        self._accepted = self._told = self._over = False
        self._task: Optional[asyncio.Task[None]] = None

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "websocket.disconnect":
            self._over = True
        return message

    async def send(self, message: Message) -> None:
        if self._over:
            return  # closed by us: what the app still says goes nowhere
        kind = message["type"]
        if kind in ("websocket.close", "websocket.http.response.start"):
            self._over = True
        await self._send(message)
        if kind == "websocket.accept":
            self._accepted = True
            if self._told:
                await self._close()

    def tell(self) -> None:
        self._told = True
        if self._accepted and not self._over:
            self._task = asyncio.ensure_future(self._close())

    async def _close(self) -> None:
        self._over = True
        try:
            await self._send({"type": "websocket.close", "code": self._code, "reason": "service restart"})
        except Exception:
            pass  # gone by itself


class _Lifespan:
    """The lifespan of server and app, with the plan in between."""

    def __init__(self, middleware: Middleware, scope: Scope, receive: Receive, send: Send) -> None:
        self._middleware, self._scope, self._receive, self._send = middleware, scope, receive, send
        self._started = self._failed = self._shutting = self._asked = False
        # Threading's, since hooks set and wait for them on their workers.
        self._go, self._app_done = asyncio.Event(), threading.Event()

    async def run(self) -> None:
        self._server = self._middleware._start(self._receive)
        if "state" in self._scope:
            self._scope["state"]["graceshut"] = self._server.gs
        try:
            await self._middleware.app(self._scope, self.receive, self.send)
        except BaseException:
            self._app_done.set()
            if self._started or self._failed or not isinstance(_error(), Exception):
                raise
            await self._instead()
        else:
            if not self._started and not self._failed:
                await self._instead()
        self._app_done.set()

    async def _instead(self) -> None:
        """The app has no lifespan of its own: ours. It has raised, or returned without a word."""
        if not self._asked:
            await self.receive()
        await self.send({"type": "lifespan.startup.complete"})
        self._app_done.set()
        while (await self.receive())["type"] != "lifespan.shutdown":
            pass
        await self.send({"type": "lifespan.shutdown.complete"})

    async def receive(self) -> Message:
        message = await self._receive()
        self._asked = True
        if message["type"] == "lifespan.shutdown":
            await self._server_ended()
        return message

    async def send(self, message: Message) -> None:
        kind = message["type"]
        if kind == "lifespan.startup.complete":
            self._started = True
            self._up()
        elif kind == "lifespan.startup.failed":
            self._failed = True
        elif kind in ("lifespan.shutdown.complete", "lifespan.shutdown.failed"):
            self._app_done.set()
            if self._shutting:
                # The loop lives as long as hooks run on it.
                await _wait(self._server.gs)
        await self._send(message)

    def _up(self) -> None:
        server = self._server
        server.gone = threading.Event()
        server.up()
        phase = self._middleware._lifespan_phase
        if phase is not None and not server.gs.stopping and threading.current_thread() is threading.main_thread():
            server.gs.hook(phase, self._end_app, name="lifespan")

    async def _server_ended(self) -> None:
        """Every request is answered, and the server has closed what it had open."""
        server = self._server
        gone = server.gone
        if gone is not None:
            gone.set()
        gs = server.gs
        # In a test client's thread, or where the server ends for reasons of its own: as without us. The program's end is
        # the trigger then.
        if gs._open and gs.stopping and threading.current_thread() is threading.main_thread():
            self._shutting = True
            over = asyncio.ensure_future(_wait(gs))
            go = asyncio.ensure_future(self._go.wait())
            await asyncio.wait({over, go}, return_when=asyncio.FIRST_COMPLETED)
            over.cancel()
            go.cancel()

    def _end_app(self, ctx: Context) -> None:
        """On a worker: the app's own end."""
        loop = self._middleware._loop
        if loop is None or loop.is_closed():
            return
        try:
            loop.call_soon_threadsafe(self._go.set)
        except RuntimeError:
            return
        while not self._app_done.wait(0.01):
            if ctx.cancelled or loop.is_closed():
                return


async def _wait(gs: GraceShut) -> None:
    await gs.stopped._wait_async(None, of_program=False)


#: Servers whose own stop lets requests in flight finish; the others (daphne, hypercorn after 3 s) may cut them.
_STOP_WAITS = ("uvicorn", "gunicorn", "granian")


def _server_of(receive: Optional[Receive]) -> Optional[str]:
    """The package that serves here: the one ``receive`` is of, or that runs the loop."""
    for owner in (receive, type(getattr(receive, "__self__", receive))):
        package = str(getattr(owner, "__module__", None)).partition(".")[0].lstrip("_")
        if package in _STOP_WAITS:
            return package
    frame = sys._getframe()
    while frame is not None:
        package = str(frame.f_globals.get("__name__")).partition(".")[0]
        if package in (*_STOP_WAITS, "hypercorn", "daphne"):
            return package
        frame = frame.f_back  # type: ignore[assignment]
    return None


def _error() -> Optional[BaseException]:
    return sys.exc_info()[1]


@functools.cache  # once
def _follow_fork() -> None:
    os.register_at_fork(after_in_child=_after_fork)


def _after_fork() -> None:
    for one in list(_made):
        one._reset()
