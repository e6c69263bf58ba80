"""WSGI: one line around the app.

    app = graceshut.wsgi.Middleware(app, ready="/readyz")

It counts requests as work in flight until their answer is written, serves through ``announce`` and refuses with 503 from
``drain`` on. Answers say ``Connection: close`` from the signal on where the server can be brought to (``_wsgi_close``). The
app hears first: ``environ["graceshut"]`` is the install, with ``if environ["graceshut"].draining``. Under gunicorn
``graceshut.gunicorn`` puts this middleware around the app by itself.

Call ``graceshut.install()`` in the main thread before the server starts: made at the first request it would be on one of the
server's threads, and the main thread, which may never run Python code again, could not be told to leave.
"""

from __future__ import annotations

import time

from . import _server, _wsgi_close
from ._http import READ_LIMIT, REFUSED, Endless, Routes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import timedelta
    from typing import Any, Callable, Iterable, Iterator, Optional, Union

    from . import GraceShut

    Environ = dict[str, Any]
    App = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

__all__ = ["Middleware"]

_REASONS = {200: "200 OK", 503: "503 Service Unavailable"}
#: How SERVER_SOFTWARE begins where the server's own stop lets requests in flight finish.
_STOP_WAITS = ("granian", "gunicorn")


class Middleware:
    """Wraps a WSGI app.

    ready, live: paths answered here: 200, and 503 for ``ready`` once stopping. None: not answered here.
    end_streams_after: seconds from the start of ``drain`` after which a stream is ended at its next piece: its iterable is
        closed, the final chunk is written. None: it takes the time ``drain`` has.
    stream_types: content types that say of an answer without a Content-Length that it is such a stream, beside
        ``text/event-stream`` and ``multipart/x-mixed-replace``. A download of another type is left to end.
    gs: the install to follow; by default the one there is at the first request, else one is made then.
    """

    def __init__(
        self, app: App, *, ready: Optional[str] = None, live: Optional[str] = None,
        end_streams_after: Union[float, timedelta, None] = None, stream_types: Iterable[str] = (), gs: Optional[GraceShut] = None,
    ) -> None:
        if not callable(app):
            raise TypeError("app is a WSGI app, not %r" % (app,))
        self.app = app
        self._wanted, self._routes = gs, Routes(ready, live)
        self._endless = Endless(end_streams_after, stream_types)

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        server = _server.of(self._wanted)
        if not server._is_up:
            server.stop_waits = server.stop_waits or str(environ.get("SERVER_SOFTWARE", "")).lower().startswith(_STOP_WAITS)
            server.up()
        path = environ.get("PATH_INFO", "")
        if path in self._routes.paths:
            stopping = server.stopping or bool(server.gs.stopping)
            status, body = self._routes.answer(path, stopping)
            return _answer(environ, start_response, status, body, stopping)
        gs = server.gs
        if not gs.enter():
            server.refused()
            _read_off(environ)
            return _answer(environ, start_response, 503, REFUSED, True)

        is_stream = False

        def hinting(status: str, headers: list[tuple[str, str]], *error: Any) -> Any:
            nonlocal is_stream
            said = {name.lower(): value for name, value in headers}
            is_stream = "content-length" not in said and self._endless.names(said.get("content-type"))
            if not server.stopping:
                return start_response(status, headers, *error)
            write = start_response(status, _wsgi_close.with_close(environ, headers), *error)
            _wsgi_close.tell(write)
            return write

        environ["graceshut"] = gs

        try:
            result = self.app(environ, hinting)
        except BaseException:
            gs.leave()
            raise
        wrapper = environ.get("wsgi.file_wrapper")
        if isinstance(wrapper, type) and isinstance(result, wrapper):
            # The server sends such a file by itself, and must know it again.
            file: Iterable[bytes] = _counted_file(result, gs.leave)
            return file
        after = self._endless.after
        # Servers that ask send a Content-Length for one that is 1 long; waitress takes a `__len__` at its word.
        kind = _CountedSized if hasattr(result, "__len__") else _Counted
        if after is None:
            return kind(result, gs.leave)

        def is_over() -> bool:
            since = server.drains_since
            return is_stream and since is not None and time.monotonic() - since >= after

        return kind(result, gs.leave, is_over)


class _Counted:
    """The app's iterable; the unit of work ends with ``close``, which every server calls."""

    def __init__(self, result: Iterable[bytes], leave: Callable[[], None], is_over: Optional[Callable[[], bool]] = None) -> None:
        self._result, self._leave, self._is_over = result, leave, is_over
        self._over = False

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._result) if self._is_over is None else self._until(self._is_over)

    def _until(self, is_over: Callable[[], bool]) -> Iterator[bytes]:
        for piece in self._result:
            yield piece
            if is_over():
                return

    def close(self) -> None:
        if self._over:
            return
        self._over = True
        try:
            close = getattr(self._result, "close", None)
            if close is not None:
                close()
        finally:
            self._leave()


class _CountedSized(_Counted):
    def __len__(self) -> int:
        return len(self._result)  # type: ignore[arg-type]


def _counted_file(result: Any, leave: Callable[[], None]) -> Any:
    counted = _Counted((), leave)
    counted._result = _Closes(getattr(result, "close", None))  # type: ignore[assignment]
    result.close = counted.close
    return result


class _Closes:
    def __init__(self, close: Optional[Callable[[], None]]) -> None:
        self.close = close or (lambda: None)


def _read_off(environ: Environ) -> None:
    try:
        length = min(int(environ.get("CONTENT_LENGTH") or 0), READ_LIMIT)
        if length > 0:
            environ["wsgi.input"].read(length)
    except (ValueError, OSError, KeyError):
        pass


def _answer(environ: Environ, start_response: Callable[..., Any], status: int, body: bytes, stopping: bool) -> list[bytes]:
    headers = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))]
    if stopping:
        _wsgi_close.tell(start_response(_REASONS[status], _wsgi_close.with_close(environ, headers)))
    else:
        start_response(_REASONS[status], headers)
    return [b"" if environ.get("REQUEST_METHOD") == "HEAD" else body]
