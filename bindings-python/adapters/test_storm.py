"""Clients that never give up and never keep a connection: every attempt is answered or refused, none is cut off."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time

import pytest
from cases import CASES
from conftest import SERVICES, free_port, program

#: The listener is the main process's as well, which does not say whether it goes or reloads: what comes between the last
#: worker's end and its own is reset. The number goes into the table.
NOT_REACHED = {"uvicorn, command, 2 workers", "hypercorn, command"}
CLIENTS = 12
REQUEST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"


def ask(port: int) -> str:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=15) as s:
            s.sendall(REQUEST)
            return s.recv(1000).partition(b"\r\n")[0].decode() or "cut off"
    except ConnectionRefusedError:
        return "refused"
    except OSError as error:
        return "cut off: %r" % error


@pytest.mark.parametrize("case", [case for case in CASES if not case.quick], ids=lambda c: c.name)
def test_a_storm_of_connections(case, tmp_path, storm):
    port = free_port()
    env = {**os.environ, "GRACESHUT_REPORT": "none", "GRACESHUT_GRACE": "10s", "PYTHONPATH": str(SERVICES)}
    command = [word.format(port=port) for word in case.command]
    ends: list[str] = []

    def client() -> None:
        while ends.append(ask(port)) is None and not ends[-1].startswith(("refused", "cut off")):
            pass

    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([program(command[0]), *command[1:]], cwd=SERVICES, env=env, stdout=log, stderr=log)
    try:
        until = time.monotonic() + 15
        while not ask(port).startswith("HTTP/1.1 200"):
            assert time.monotonic() < until, (tmp_path / "log").read_text()
            time.sleep(0.02)
        threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
        for t in threads:
            t.start()
        time.sleep(0.4)
        process.send_signal(signal.SIGTERM)
        for t in threads:
            t.join(30)
        status = process.wait(15)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(5)
    words = {end.partition(" ")[2] or end for end in ends}
    assert status == 0 and len(ends) > CLIENTS * 10, (tmp_path / "log").read_text()
    assert {w for w in words if w.startswith("200")} and {w for w in words if w.startswith("503")}, words
    cut = [end for end in ends if not end.startswith(("HTTP/1.1 200", "HTTP/1.1 503", "refused"))]
    storm(case.name, len(cut), len(ends))
    if case.name not in NOT_REACHED:
        assert not cut, (len(cut), cut[:3])
        assert ends.count("refused") == CLIENTS
