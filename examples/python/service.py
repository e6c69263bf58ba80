"""The demo service in Python: the standard library's HTTP server, and a shutdown that loses nothing.

GET and POST /work take about 20 ms; GET /readyz turns 503 with the signal, while /work is served on; from `drain` on
every answer says `Connection: close` and new work gets 503. Try it:

    graceshut verify --ready http://127.0.0.1:8080/readyz --load http://127.0.0.1:8080/work -- python service.py
"""

import asyncio
import os
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import graceshut

gs = graceshut.install(grace=10)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body leave in one write

    def do_GET(self):
        self.route()

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.route()

    def route(self):
        if self.path == "/readyz":
            self.answer(503 if gs.stopping else 200, b"")
        elif self.path != "/work":
            self.answer(404, b"not here\n")
        elif gs.enter():
            try:  # the unit of work ends when its answer is written
                time.sleep(0.02)
                self.answer(200, b"done\n")
            finally:
                gs.leave()
        else:
            self.answer(503, b"draining\n")

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if gs.draining:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, *args):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, address):
        self.connections = {}  # open sockets, and since when
        super().__init__(address, Handler)

    def process_request(self, request, client):
        # An answer that does not fill a packet leaves at once.
        request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.last_accept = time.monotonic()
        self.connections[request] = self.last_accept
        super().process_request(request, client)

    def shutdown_request(self, request):
        self.connections.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, request, client):
        if not isinstance(sys.exc_info()[1], ConnectionError):  # a client that went away is none of ours
            super().handle_error(request, client)

    last_accept = 0.0


server = Server(("127.0.0.1", int(os.environ.get("PORT", "8080"))))


def trace(what):
    print(f"trace {what}", flush=True)


@gs.hook("announce")
def deregister():
    trace("announce/deregister")


@gs.hook("drain", name="server")
def stop_server(ctx):
    # The listener stays open and answers 503 until nobody has come for a while: closing it earlier would reset those who
    # wait in its queue. Keep-alive connections are told with their next answer; one that is idle for longer gets no reset
    # either: shutting the reading side makes its thread see the end, after anything that had already arrived.
    quiet, patience = 0.15, min(1.0, (ctx.remaining or 1.0) / 3)
    began = time.monotonic()
    while time.monotonic() < began + patience:
        since = time.monotonic() - max(server.last_accept, began)
        if not server.connections and since > quiet or ctx.wait_cancelled(0.01):
            break
    server.shutdown()  # the loop ends after the accept it is in
    server.server_close()
    for connection in list(server.connections):
        try:
            connection.shutdown(socket.SHUT_RD)
        except OSError:
            pass  # closed by its own thread in this moment
    trace("drain/server")


@gs.hook("flush")
async def buffers():
    await asyncio.sleep(0.01)
    trace("flush/buffers")


@gs.hook("flush")
def offsets():
    trace("flush/offsets")


@gs.hook("close")
def pool():
    trace("close/pool")


@gs.hook("close")
def files():
    trace("close/files")


@gs.hook("final")
def telemetry(ctx):
    trace(f"final/telemetry after {ctx.reason}")


if __name__ == "__main__":
    gs.serving = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    print("ready", flush=True)
    sys.exit(gs.wait())
