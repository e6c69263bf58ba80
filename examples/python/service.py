"""The demo service in Python: the standard library's HTTP server, and a shutdown that loses nothing.

GET and POST /work take about 20 ms; GET /readyz turns 503 with the signal, while /work is served on; from `drain` on
every answer says `Connection: close` and new work gets 503. Try it:

    graceshut verify --ready http://127.0.0.1:8080/readyz --load http://127.0.0.1:8080/work -- python service.py
"""

import asyncio
import os
import socket
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import graceshut
import graceshut.http_server

gs = graceshut.install(grace=10)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body leave in one write

    def do_GET(self):
        if self.path == "/work":
            time.sleep(0.02)
            self.answer(200, b"done\n")
        else:
            self.answer(404, b"not here\n")

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.do_GET()

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def process_request(self, request, client):
        # An answer that does not fill a packet leaves at once.
        request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().process_request(request, client)


def trace(what):
    print(f"trace {what}\n", end="", flush=True)  # one write: hooks and events have threads of their own


@gs.hook("announce")
def deregister():
    trace("announce/deregister")


@gs.on_event
def server(event):
    # Its hook in `drain`, named `server`, is the adapter's.
    if event["event"] == "hook_end" and event.get("hook") == "server":
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
    http = Server(("127.0.0.1", int(os.environ.get("PORT", "8080"))), Handler)
    print("ready", flush=True)
    sys.exit(graceshut.http_server.serve(http, ready="/readyz"))
