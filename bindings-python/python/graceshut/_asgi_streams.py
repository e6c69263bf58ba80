"""Endless answers over ASGI (SSE, a long poll): told when ``drain`` begins, ended in order after a stated time (spec 9.6).

A stream is an answer under way whose type says so, and which has no Content-Length. It is told as its server would tell it of a client that has gone:
``receive`` gives ``http.disconnect``. Requests whose answer has not begun are not told, since frameworks give up ordinary
ones at that word (Django listens for it beside every request); of these a GET that is still unanswered when the time is over
counts as a long poll, and is answered 503.
"""

from __future__ import annotations

import asyncio

from ._asgi_answers import answer
from ._http import REFUSED, Endless

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Awaitable, Generator, Optional

    from ._asgi_answers import App, Message, Receive, Scope, Send

_GONE = {"type": "http.disconnect"}


class Streams:
    """The answers under way in one loop. All of it in the loop's thread."""

    def __init__(self, seconds: float, endless: Endless) -> None:
        self._seconds, self._endless = seconds, endless
        self._open: set[_Stream] = set()

    async def serve(self, app: App, scope: Scope, receive: Receive, send: Send) -> None:
        one = _Stream(self._endless, scope, receive, send)
        self._open.add(one)
        try:
            await one.run(app)
        finally:
            self._open.discard(one)

    def tell(self) -> None:
        """``drain`` begins; from now on no request is added."""
        for one in list(self._open):
            one.tell()
        asyncio.get_running_loop().call_later(self._seconds, self._end)

    def _end(self) -> None:
        for one in list(self._open):
            one.end()


class _Stream:
    """One answer, which may turn out to be endless."""

    def __init__(self, endless: Endless, scope: Scope, receive: Receive, send: Send) -> None:
        self._endless, self._scope, self._receive, self._send = endless, scope, receive, send
        self._task = asyncio.current_task()
        self._started = self._is_stream = self._over = False
        self._told = self._ended = False
        #: What the app's ``receive`` waits for.
        self._waits_for: Any = None

    async def run(self, app: App) -> None:
        try:
            await app(self._scope, self.receive, self.send)
        except asyncio.CancelledError:
            if not self._ended:
                raise
            uncancel = getattr(self._task, "uncancel", None)  # from Python 3.11 on
            if uncancel is not None:
                uncancel()
        except Exception:
            if not self._ended:
                raise  # else what came of the end
        if (self._told or self._ended) and not self._over:
            await self._finish()

    async def _finish(self) -> None:
        self._over = True
        if self._started:
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})
        else:
            close = self._scope["http_version"][0] == "1"
            await answer(self._send, 503, REFUSED, close=close, head=self._scope["method"] == "HEAD")

    def receive(self) -> Awaitable[Message]:
        return _Received(self)

    async def send(self, message: Message) -> None:
        if self._ended:
            raise OSError("the stream was ended: the process is stopping")  # as servers say that the client has gone
        if message["type"] == "http.response.start":
            self._started = True
            headers = {name.lower(): value for name, value in message.get("headers", ())}
            kind = headers.get(b"content-type", b"").decode("latin-1")
            self._is_stream = b"content-length" not in headers and self._endless.names(kind)
        elif message["type"] == "http.response.body" and not message.get("more_body", False):
            self._over = True
        await self._send(message)

    def tell(self) -> None:
        if not self._is_stream or self._over:
            return
        self._told = True
        cancel = getattr(self._waits_for, "cancel", None)
        if cancel is not None:
            cancel()

    def end(self) -> None:
        is_poll = not self._started and self._scope["method"] in ("GET", "HEAD")
        if self._over or not (self._is_stream or is_poll):
            return
        self._ended = True
        if self._task is not None:
            self._task.cancel()


class _Received:
    """The server's ``receive``, given up when the stream is told.

    Not a task beside it: one that has its message at once has to give it at once, even to a caller that is cancelled
    already (Starlette's ``is_disconnected``).
    """

    __slots__ = ("_stream",)

    def __init__(self, stream: _Stream) -> None:
        self._stream = stream

    def __await__(self) -> Generator[Any, Any, Message]:
        stream = self._stream
        if stream._told:
            return dict(_GONE)
        inner: Any = stream._receive().__await__()
        try:
            waits_for = next(inner)
            while True:
                stream._waits_for = waits_for
                try:
                    yield waits_for
                except BaseException as error:
                    if not hasattr(inner, "throw"):  # an iterator in Rust: granian's
                        raise
                    waits_for = inner.throw(error)
                else:
                    waits_for = next(inner)
        except StopIteration as end:
            message: Message = end.value
            return message
        except asyncio.CancelledError:
            if stream._told and not self._is_cancelled():
                return dict(_GONE)
            raise
        finally:
            stream._waits_for = None

    def _is_cancelled(self) -> bool:
        """The caller itself, not what it waited for."""
        task: Optional[Any] = asyncio.current_task()
        cancelling = getattr(task, "cancelling", None)  # from Python 3.11 on
        return self._stream._ended or cancelling is not None and cancelling() > 0
