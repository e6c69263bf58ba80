"""gunicorn's configuration module with worker classes and apps that are not WSGI: the server starts as without it."""

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

AIOHTTP = "aiohttp.GunicornWebWorker"
#: Worker class, app, and whether the plan is part of it.
EVERY = {
    "aiohttp": (AIOHTTP, "plain", True),
    "aiohttp, factory": (AIOHTTP, "factory", True),
    "aiohttp, runner": (AIOHTTP, "runner", True),
    "aiohttp, followed by the program": (AIOHTTP, "followed", True),
    "aiohttp, the factory installs": (AIOHTTP, "installs", True),
    "uvicorn's, derived": ("gunicorn_apps.Derived", "asgi", True),
    "uvicorn's, ASGI 2": ("uvicorn_worker.UvicornWorker", "asgi2", False),
    "uvicorn's, WSGI": ("gunicorn_apps.Wsgi", "wsgi", False),
    "tornado": ("tornado", "tornado", False),
    "a program's own": ("gunicorn_apps.Calls", "body", False),
}


def ask(port, path):
    with socket.create_connection(("127.0.0.1", port), timeout=10) as s:
        s.sendall(b"GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % path.encode())
        got = b""
        while more := s.recv(65536):
            got += more
    return got


@pytest.mark.parametrize("case", EVERY)
def test_it_starts_and_stops_as_it_does_alone(case, tmp_path):
    worker, app, has_plan = EVERY[case]
    port = free_port()
    env = {**os.environ, "GRACESHUT_REPORT": str(tmp_path / "%p.json"), "GRACESHUT_GRACE": "10s", "PYTHONPATH": str(SERVICES)}
    command = [program("gunicorn"), "-c", "python:graceshut.gunicorn", "-b", "127.0.0.1:%d" % port, "-k", worker, "gunicorn_apps:" + app]
    slow: list[bytes] = []
    asks = threading.Thread(target=lambda: slow.append(ask(port, "/slow")))
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=SERVICES, env=env, stdout=log, stderr=log)
    words = (tmp_path / "log").read_text
    try:
        until = time.monotonic() + 20
        while True:
            assert time.monotonic() < until and process.poll() is None, words()
            try:
                got = ask(port, "/")
            except OSError:
                time.sleep(0.05)
                continue
            break
        assert got.startswith(b"HTTP/1.1 200") and got.endswith(b"done\n"), (got, words())
        if has_plan:
            assert b" 200" in ask(port, "/readyz")[:13]
            asks.start()
            time.sleep(0.3)  # what has no answer yet has no sign that it is being worked on
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0, words()
        if has_plan:
            asks.join(10)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(5)
    reports = [json.loads(one.read_text()) for one in tmp_path.glob("*.json")]
    assert [one["outcome"] for one in reports] == ["clean"] * has_plan, words()
    assert not has_plan or slow[0].endswith(b"done\n") and reports[0]["in_flight"]["at_drain_start"] == 1, (slow, reports)
    assert ("left as it is" in words()) is not has_plan, words()
    assert "Traceback" not in words(), words()
