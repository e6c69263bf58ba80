"""Plays the bulk index: ``POST /NAME/_bulk`` with OpenSearch's lines, counts ids, can hold requests and answer 503.

``NAME`` is the instance that writes, so that the requests of one instance can be held. With a real OpenSearch behind it each
request is passed on to an index, and counts only when that took it.
"""

from __future__ import annotations

import json
import select
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from broker import free_port
from opensearch import OpenSearch


class Sink:
    """A server of its own thread; use as a context manager."""

    def __init__(self, index: str, store: OpenSearch | None = None) -> None:
        self.index, self.store = index, store
        self.first: dict[int, float] = {}
        self.writes = 0
        #: Requests taken, by instance.
        self.taken: dict[str, int] = {}
        self.refused: dict[str, int] = {}
        self.dropped: dict[str, int] = {}
        #: Instances whose request is being held.
        self.holding: set[str] = set()
        self.down = False
        self._until: dict[str, float] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Sink:
        sink = self

        class Handler(_Handler):
            owner = sink

        self._server = ThreadingHTTPServer(("127.0.0.1", free_port()), Handler)
        self._server.daemon_threads = True
        self.address = "http://127.0.0.1:%d" % self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def hold(self, name: str, seconds: float) -> None:
        """Requests of this instance are held until then; those whose client is gone by then are dropped."""
        self._until[name] = time.monotonic() + seconds

    def take(self, name: str, body: bytes, client: socket.socket) -> int:
        """One bulk request; gives the status to answer, 0 where the client is gone."""
        if time.monotonic() < self._until.get(name, 0.0):
            self.holding.add(name)
            while time.monotonic() < self._until[name]:
                time.sleep(0.02)
                if _gone(client):
                    self.dropped[name] = self.dropped.get(name, 0) + 1
                    return 0
            self.holding.discard(name)
        if self.down or self.store is not None and not self.store.bulk(self.index, body):
            self.refused[name] = self.refused.get(name, 0) + 1
            return 503
        ids = [int(json.loads(line)["index"]["_id"]) for line in body.split(b"\n")[::2] if line]
        now = time.time()
        with self._lock:
            self.writes += len(ids)
            self.taken[name] = self.taken.get(name, 0) + 1
            for one in ids:
                self.first.setdefault(one, now)
        return 200


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    owner: Sink

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status = self.owner.take(self.path.split("/")[1], body, self.connection)
        if status == 0:
            self.close_connection = True
            return
        answer = b'{"errors":false}' if status == 200 else b'{"error":"down"}'
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        pass


def _gone(client: socket.socket) -> bool:
    try:
        return bool(select.select([client], [], [], 0)[0]) and client.recv(1, socket.MSG_PEEK) == b""
    except (OSError, ValueError):
        return True
