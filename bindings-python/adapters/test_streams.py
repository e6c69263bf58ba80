"""Endless answers end in order, and requests in flight are waited for, on the real servers (spec 9.3, 9.6)."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import threading
import time

import pytest
from conftest import SERVICES, free_port, program

ASGI = {
    "uvicorn": ["uvicorn", "--log-level", "error", "--port", "{port}", "slow_apps:asgi"],
    "hypercorn": ["hypercorn", "-w", "0", "-b", "127.0.0.1:{port}", "slow_apps:asgi"],
    "granian": ["granian", "--no-log", "--interface", "asgi", "--port", "{port}", "slow_apps:asgi"],
    "daphne": ["daphne", "-p", "{port}", "slow_apps:asgi"],
    "sse-starlette": ["uvicorn", "--log-level", "error", "--port", "{port}", "slow_apps:starlette"],
    "Django": ["uvicorn", "--log-level", "error", "--port", "{port}", "slow_apps:django"],
}
WSGI = {
    "gunicorn": ["gunicorn", "-c", "python:graceshut.gunicorn", "-k", "gthread", "--threads", "4", "-b", "127.0.0.1:{port}", "slow_apps:wsgi"],
    "waitress": ["waitress-serve", "--port", "{port}", "slow_apps:wsgi"],
    "http.server": ["python", "slow_apps.py", "std", "{port}"],
    "werkzeug": ["python", "slow_apps.py", "flask", "{port}"],
}


EVERY = {**ASGI, **WSGI, "aiohttp": ["python", "aiohttp_app.py", "run_app", "{port}"]}


class Service:
    """A server with three requests in flight at SIGTERM."""

    def __init__(self, folder, command, path, end=None, types="", requests=3):
        port = free_port()
        env = {**os.environ, "GRACESHUT_REPORT": str(folder / "%p.json"), "GRACESHUT_GRACE": "10s", "PYTHONPATH": str(SERVICES), "TYPES": types}
        if end is not None:
            env["END"] = end
        words = [word.format(port=port) for word in command]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen([program(words[0]), *words[1:]], cwd=SERVICES, env=env, stdout=log, stderr=log)
        self.answers: list[bytes] = []
        self.begun = threading.Semaphore(0)
        try:
            self._wait_ready(port, folder / "log")
            threads = [threading.Thread(target=self._ask, args=(port, path)) for _ in range(requests)]
            for t in threads:
                t.start()
            for _ in threads:
                assert self.begun.acquire(timeout=10)
            time.sleep(0.2)  # what has no answer yet has no sign that it is being worked on
            at = time.monotonic()
            process.send_signal(signal.SIGTERM)
            self.status = process.wait(15)
            self.took = time.monotonic() - at
            for t in threads:
                t.join(15)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait(5)
        self.words = (folder / "log").read_text()
        self.report = json.loads(next(folder.glob("*.json")).read_text())

    def _wait_ready(self, port, log):
        until = time.monotonic() + 15
        while True:
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=5) as s:
                    s.sendall(b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
                    if s.recv(100).partition(b"\r\n")[0].split()[1] == b"200":
                        return
            except OSError:
                pass
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.02)

    def _ask(self, port, path):
        with socket.create_connection(("127.0.0.1", port), timeout=15) as s:
            s.sendall(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % path.encode())
            if path not in ("/sse", "/export"):
                self.begun.release()
            got = b""
            try:
                while more := s.recv(65536):
                    if path in ("/sse", "/export") and not got:
                        self.begun.release()
                    got += more
            except OSError as error:
                got += b" cut off: %r" % error
        self.answers.append(got)


@pytest.mark.parametrize("server", ["daphne", "hypercorn", "waitress"])
def test_what_is_in_flight_is_answered_though_nobody_else_comes(server, tmp_path):
    """Their own stop cuts it (hypercorn's after 3 s)."""
    run = Service(tmp_path, {**ASGI, **WSGI}[server], "/slow")
    assert run.status == 0 and run.report["outcome"] == "clean", run.words
    assert all(b" 200" in one[:13] and one.endswith(b"done\n") for one in run.answers), run.answers
    assert run.took < 6, run.took  # and it does not hang to its deadline


@pytest.mark.parametrize("server", [*ASGI, *WSGI])
def test_streams_are_told_and_end_in_order(server, tmp_path):
    run = Service(tmp_path, {**ASGI, **WSGI}[server], "/sse", end="0.4")
    assert run.status == 0 and run.report["outcome"] == "clean", run.words
    assert run.took < 5, run.took
    for one in run.answers:
        assert b"data: tick" in one and one.endswith(b"0\r\n\r\n"), one
    # Told while the stream still went on; WSGI's generator when it is closed.
    assert run.words.count("trace told") == 3, run.words


@pytest.mark.parametrize("server", ["sse-starlette", "Django", "gunicorn", "http.server", "werkzeug", "aiohttp"])
def test_a_download_without_a_length_is_left_to_end(server, tmp_path):
    """Ended early it would look complete to its client: its type does not say that it is a stream."""
    run = Service(tmp_path, EVERY[server], "/export", end="0.4", requests=2)
    assert run.status == 0 and run.report["outcome"] == "clean", run.words
    for one in run.answers:
        assert b"0019\n" in one and b"cut off" not in one, one


@pytest.mark.parametrize("server", ["uvicorn", "waitress", "http.server", "aiohttp"])
def test_a_type_that_the_program_names_is_a_stream(server, tmp_path):
    run = Service(tmp_path, EVERY[server], "/export", end="0.2", types="Text/CSV", requests=1)
    assert run.status == 0 and run.report["outcome"] == "clean", run.words
    assert all(b"0019\n" not in one and one.endswith(b"0\r\n\r\n") for one in run.answers), run.answers


@pytest.mark.parametrize("server", ["uvicorn", "daphne"])
def test_a_long_poll_is_sent_elsewhere(server, tmp_path):
    run = Service(tmp_path, ASGI[server], "/poll", end="0.4")
    assert run.status == 0 and run.report["outcome"] == "clean" and run.took < 5, run.words
    assert all(one.startswith(b"HTTP/1.1 503") and b"close" in one.lower() for one in run.answers), run.answers
