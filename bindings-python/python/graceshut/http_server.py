"""The standard library's HTTP servers, and what is built on them (werkzeug): ``sys.exit(graceshut.http_server.serve(server))``.

``server`` is a ``socketserver`` server whose handlers are ``BaseHTTPRequestHandler``s, threading for preference. It serves on
a thread; requests are counted, refused from ``drain`` on, and its connections end without a reset.
"""

from __future__ import annotations

import socket
import threading
from http.server import BaseHTTPRequestHandler

from . import _server
from ._http import READ_LIMIT, REFUSED, Routes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from socketserver import TCPServer
    from typing import Any, Optional

    from . import GraceShut

    Request = Any

__all__ = ["serve"]

_POLL = 0.05


def serve(server: TCPServer, *, ready: Optional[str] = None, live: Optional[str] = None, gs: Optional[GraceShut] = None) -> int:
    """Serves until the process is told to stop, runs the plan, and gives the exit status.

    ready, live: paths answered here: 200, and 503 for ``ready`` once stopping. gs: the install to follow.
    Blocks; best called in the main thread. Raises TypeError for handlers of another kind.
    """
    handler: Any = getattr(server, "RequestHandlerClass", None)
    if not (isinstance(handler, type) and issubclass(handler, BaseHTTPRequestHandler)):
        raise TypeError("the server's handler is no BaseHTTPRequestHandler: %r" % (handler,))
    ours = _server.of(gs)
    members = {"graceshut_server": ours, "graceshut_routes": Routes(ready, live)}
    server.RequestHandlerClass = type(handler.__name__, (_Counts, handler), members)
    connections = _follow_connections(server)

    def stop() -> None:
        server.shutdown()  # the loop ends after the accept it is in
        server.socket.close()
        for connection in list(connections):
            try:
                # What has arrived is still read; then its thread sees the end.
                connection.shutdown(socket.SHUT_RD)
            except OSError:
                pass  # closed by its own thread in this moment

    ours.stop = stop
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
    _counted = _said = False

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        finally:
            if self._counted:
                self._counted = False
                self.graceshut_server.gs.leave()

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
        super().send_header(keyword, value)

    def end_headers(self) -> None:
        if self.graceshut_server.stopping and not self._said:
            self.send_header("Connection", "close")
        super().end_headers()
