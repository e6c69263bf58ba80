"""The standard library's HTTP servers, and what is built on them (werkzeug): ``sys.exit(graceshut.http_server.serve(server))``.

``server`` is a ``socketserver`` server whose handlers are ``BaseHTTPRequestHandler``s, threading for preference. It serves on
a thread; requests are counted, refused from ``drain`` on, and its connections end without a reset.
"""

from __future__ import annotations

import socket
import threading
import time
from http.server import BaseHTTPRequestHandler

from . import _server
from ._http import READ_LIMIT, REFUSED, Endless, Routes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import timedelta
    from socketserver import TCPServer
    from typing import Any, Iterable, Optional, Union

    from . import GraceShut

    Request = Any

__all__ = ["serve"]

_POLL = 0.05


def serve(
    server: TCPServer, *, ready: Optional[str] = None, live: Optional[str] = None,
    end_streams_after: Union[float, timedelta, None] = None, stream_types: Iterable[str] = (), gs: Optional[GraceShut] = None,
) -> int:
    """Serves until the process is told to stop, runs the plan, and gives the exit status.

    ready, live: paths answered here: 200, and 503 for ``ready`` once stopping. gs: the install to follow.
    end_streams_after: seconds from the start of ``drain`` after which a stream is ended: the handler's next write to ``self.wfile``
        raises BrokenPipeError, as for a client that has gone, and a chunked answer gets its final chunk. The handler hears
        first by ``graceshut.current().draining``. None: it takes the time ``drain`` has.
    stream_types: content types that say of an answer without a Content-Length that it is such a stream, beside
        ``text/event-stream`` and ``multipart/x-mixed-replace``. A download of another type is left to end.
    Blocks; best called in the main thread. Raises TypeError for handlers of another kind.
    """
    handler: Any = getattr(server, "RequestHandlerClass", None)
    if not (isinstance(handler, type) and issubclass(handler, BaseHTTPRequestHandler)):
        raise TypeError("the server's handler is no BaseHTTPRequestHandler: %r" % (handler,))
    ours = _server.of(gs)
    members = {
        "graceshut_server": ours, "graceshut_routes": Routes(ready, live), "graceshut_endless": Endless(end_streams_after, stream_types),
    }
    server.RequestHandlerClass = type(handler.__name__, (_Counts, handler), members)
    connections = _follow_connections(server)

    def stop(ctx: object) -> None:
        server.shutdown()  # the loop ends after the accept it is in
        server.socket.close()
        for connection in list(connections):
            try:
                # What has arrived is still read; then its thread sees the end.
                connection.shutdown(socket.SHUT_RD)
            except OSError:
                pass  # closed by its own thread in this moment

    ours.stop, ours.stop_waits = stop, True  # its threads go on, and ``drain`` waits for what they count
    thread = threading.Thread(target=server.serve_forever, args=(_POLL,), name="http-server", daemon=True)
    thread.start()
    # Nothing of this server hears signals.
    ours.up(holds=False)
    return ours.gs.wait()


def _follow_connections(server: Any) -> set[Request]:
    connections: set[Request] = set()
    process, shutdown = server.process_request, server.shutdown_request

    def process_request(request: Request, client: Any) -> None:
        connections.add(request)
        process(request, client)

    def shutdown_request(request: Request) -> None:
        connections.discard(request)
        shutdown(request)

    server.process_request, server.shutdown_request = process_request, shutdown_request
    return connections


class _Counts(BaseHTTPRequestHandler):
    """Mixed into the handler: one request is one unit of work."""

    graceshut_server: _server.Server
    graceshut_routes: Routes
    graceshut_endless: Endless
    _counted = _said = _sized = _stream = _chunked = _ended = False

    def setup(self) -> None:
        super().setup()
        if self.graceshut_endless.after is not None:
            self.wfile: Any = _Writer(self.wfile, self._is_over)

    def _is_over(self) -> bool:
        """The answer under way is a stream, and its time is over."""
        since, after = self.graceshut_server.drains_since, self.graceshut_endless.after
        over = since is not None and after is not None and time.monotonic() - since >= after
        # A handler may catch what it meets (werkzeug's does): noted here.
        self._ended = self._ended or over and self._counted and self._stream and not self._sized
        return self._ended and self._counted

    def handle_one_request(self) -> None:
        self._sized = self._stream = self._chunked = self._ended = False
        try:
            super().handle_one_request()
        except _StreamEnded:
            pass
        finally:
            if self._counted:
                self._counted = False
                self._end_stream()
                self.graceshut_server.gs.leave()

    def _end_stream(self) -> None:
        if not self._ended:
            return
        self.close_connection = True
        if self._chunked:
            try:
                self.wfile.write(b"0\r\n\r\n")
                self.wfile.flush()
            except (OSError, ValueError):
                pass  # the client has gone, or the handler has closed it

    def parse_request(self) -> bool:
        self._said = False
        if not super().parse_request():
            return False
        server, routes = self.graceshut_server, self.graceshut_routes
        path = self.path.partition("?")[0]
        if path in routes.paths:
            self._answer(*routes.answer(path, server.stopping or bool(server.gs.stopping)))
            return False
        if server.gs.enter():
            self._counted = True
            return True
        server.refused()
        self._answer(503, REFUSED)
        return False

    def _answer(self, status: int, body: bytes) -> None:
        length = self.headers.get("Content-Length", "")
        if length.isdigit():
            self.rfile.read(min(int(length), READ_LIMIT))
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()

    def send_header(self, keyword: str, value: str) -> None:
        if keyword.lower() == "connection":
            self._said = True
        elif keyword.lower() == "content-length":
            self._sized = True
        elif keyword.lower() == "content-type":
            self._stream = self.graceshut_endless.names(value)
        elif keyword.lower() == "transfer-encoding":
            self._chunked = "chunked" in value.lower()
        super().send_header(keyword, value)

    def end_headers(self) -> None:
        if self.graceshut_server.stopping and not self._said:
            self.send_header("Connection", "close")
        super().end_headers()


class _StreamEnded(BrokenPipeError):
    """What a handler meets that goes on writing an endless answer."""


class _Writer:
    """The handler's ``wfile``, which an answer cannot write to once it is over."""

    def __init__(self, file: Any, is_over: Any) -> None:
        self._file, self._is_over = file, is_over

    def write(self, data: Any) -> Any:
        if self._is_over():
            raise _StreamEnded("the stream was ended: the process is stopping")
        return self._file.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)
