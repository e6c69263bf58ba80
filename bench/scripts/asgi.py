"""Microseconds of CPU per request of uvicorn with the middleware beside uvicorn without, and what their ratio is.

    python bench/scripts/asgi.py nothing|fastapi [PAIRS]

Two servers with the same app (one that does nothing, or a FastAPI route that gives a small dict), 8 keep-alive connections from here; each pair asks both in turn, in changing
order, so that what else the machine does meets both. CPU time is the kernel's own (schedstat), of all threads of a server.
Prints one JSON object: microseconds of each round, the median of the pairs' ratios, and a 95 % confidence interval of that
median (by rank, so that a round which something else disturbed counts once).
"""

import json
import math
import os
import socket
import statistics
import subprocess
import sys
import time

APP = sys.argv[1]
PAIRS = int(sys.argv[2]) if len(sys.argv) > 2 else 100
CONNECTIONS, ROUND = 8, 480
REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
#: How an answer ends.
ENDS = {"nothing": b"\r\n\r\nok", "fastapi": b'"ok"}'}

SERVER = """
import sys, uvicorn
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown": return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})
if sys.argv[3] == "fastapi":
    import fastapi
    app = fastapi.FastAPI()
    @app.get("/")
    async def home(): return {"say": "ok"}
if sys.argv[2] == "ours":
    import graceshut.asgi
    app = graceshut.asgi.Middleware(app, ready="/readyz", live="/livez")
uvicorn.run(app, port=int(sys.argv[1]), log_level="error", access_log=False)
"""


class Server:
    def __init__(self, kind):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        env = {**os.environ, "GRACESHUT_REPORT": "none"}
        self.process = subprocess.Popen([sys.executable, "-c", SERVER, str(port), kind, APP], env=env)
        until = time.monotonic() + 20
        while True:
            try:
                self.connections = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(CONNECTIONS)]
                break
            except OSError:
                if time.monotonic() > until or self.process.poll() is not None:
                    raise SystemExit("uvicorn (%s) did not start" % kind)
                time.sleep(0.05)

    def cpu_ns(self):
        total = 0
        for task in os.listdir("/proc/%d/task" % self.process.pid):
            with open("/proc/%d/task/%s/schedstat" % (self.process.pid, task)) as f:
                total += int(f.read().split()[0])
        return total

    def measure(self):
        """CPU microseconds per request, over one round."""
        before = self.cpu_ns()
        for _ in range(ROUND // CONNECTIONS):
            for c in self.connections:
                c.sendall(REQUEST)
            for c in self.connections:
                data = b""
                while not data.endswith(ENDS[APP]):
                    piece = c.recv(4096)
                    if not piece:
                        raise SystemExit("the server hung up")
                    data += piece
        return (self.cpu_ns() - before) / 1000 / ROUND

    def end(self):
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()


def main():
    servers = {kind: Server(kind) for kind in ("peer", "ours")}
    rounds = {"ours": [], "peer": []}
    try:
        for _ in range(3):  # warm
            for server in servers.values():
                server.measure()
        for i in range(PAIRS):
            for kind in ("ours", "peer") if i % 2 else ("peer", "ours"):
                rounds[kind].append(servers[kind].measure())
    finally:
        for server in servers.values():
            server.end()
    ratios = sorted(a / b for a, b in zip(rounds["ours"], rounds["peer"]))
    n = len(ratios)
    low = max(0, math.floor(n / 2 - 0.98 * math.sqrt(n)))
    interval = [ratios[low], ratios[n - 1 - low]]
    print(json.dumps({**rounds, "pairs": n, "ratio": statistics.median(ratios), "interval": interval}))


main()
