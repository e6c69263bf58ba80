"""WSGI: one line around the app.

    app = graceshut.wsgi.Middleware(app, ready="/readyz")

It counts requests as work in flight until their answer is written, serves through ``announce`` and refuses with 503 from
``drain`` on. Whether the connection is then closed is the server's own business in WSGI; under gunicorn
``graceshut.gunicorn`` sees to it and puts this middleware around the app by itself.
"""

from __future__ import annotations

from . import _server
from ._http import READ_LIMIT, REFUSED, Routes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, Callable, Iterable, Iterator, Optional

    from . import GraceShut

    Environ = dict[str, Any]
    App = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

__all__ = ["Middleware"]

_REASONS = {200: "200 OK", 503: "503 Service Unavailable"}
#: Servers that take a Connection header from the app. PEP 3333 forbids it, and wsgiref raises.
_TAKE_CLOSE = ("granian", "werkzeug", "uwsgi", "waitress")


class Middleware:
    """Wraps a WSGI app.

    ready, live: paths answered here: 200, and 503 for ``ready`` once stopping. None: not answered here.
    gs: the install to follow; by default the one there is at the first request, else one is made.
    """

    def __init__(self, app: App, *, ready: Optional[str] = None, live: Optional[str] = None, gs: Optional[GraceShut] = None) -> None:
        if not callable(app):
            raise TypeError("app is a WSGI app, not %r" % (app,))
        self.app = app
        self._wanted, self._routes = gs, Routes(ready, live)

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        server = _server.of(self._wanted)
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

        def hinting(status: str, headers: list[tuple[str, str]], *error: Any) -> Any:
            if server.stopping and _takes_close(environ):
                headers = [h for h in headers if h[0].lower() != "connection"] + [("Connection", "close")]
            return start_response(status, headers, *error)

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
        return _Counted(result, gs.leave)


class _Counted:
    """The app's iterable; the unit of work ends with ``close``, which every server calls."""

    def __init__(self, result: Iterable[bytes], leave: Callable[[], None]) -> None:
        self._result, self._leave = result, leave
        self._over = False

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._result)

    def __len__(self) -> int:
        # Servers that ask send a Content-Length for one that is 1 long.
        return len(self._result)  # type: ignore[arg-type]

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


def _counted_file(result: Any, leave: Callable[[], None]) -> Any:
    counted = _Counted((), leave)
    counted._result = _Closes(getattr(result, "close", None))  # type: ignore[assignment]
    result.close = counted.close
    return result


class _Closes:
    def __init__(self, close: Optional[Callable[[], None]]) -> None:
        self.close = close or (lambda: None)


def _takes_close(environ: Environ) -> bool:
    software = str(environ.get("SERVER_SOFTWARE", "")).lower()
    return "uwsgi.version" in environ or software.startswith(_TAKE_CLOSE)


def _read_off(environ: Environ) -> None:
    try:
        length = min(int(environ.get("CONTENT_LENGTH") or 0), READ_LIMIT)
        if length > 0:
            environ["wsgi.input"].read(length)
    except (ValueError, OSError, KeyError):
        pass


def _answer(environ: Environ, start_response: Callable[..., Any], status: int, body: bytes, stopping: bool) -> list[bytes]:
    headers = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))]
    if stopping and _takes_close(environ):
        headers.append(("Connection", "close"))
    start_response(_REASONS[status], headers)
    return [b"" if environ.get("REQUEST_METHOD") == "HEAD" else body]
