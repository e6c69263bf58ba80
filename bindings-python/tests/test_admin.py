"""The admin endpoint (spec 7.5) is answered by the core: a held GIL is no reason not to."""

from __future__ import annotations

import json
import socket
import time


def ask(path, line: str) -> tuple[int, str]:
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(10)
        s.connect(str(path))
        s.sendall(f"{line} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        text = b""
        while piece := s.recv(65536):
            text += piece
    head, _, body = text.decode().partition("\r\n\r\n")
    return int(head.split(" ")[1]), body


def test_it_answers_while_the_gil_is_held(child):
    c = child(
        """
        gs = graceshut.install(grace=6, admin="unix:a.sock")
        @gs.hook("drain", timeout=0.5)
        def python(): print("never")
        import ctypes
        libc = ctypes.PyDLL(None)
        libc.write(1, b"ready\\n", 6)   # the GIL is kept from here on, also through the signal
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        libc.sleep(60)
        """
    ).ready()
    socket_path = c.folder / "a.sock"
    start = time.monotonic()
    assert ask(socket_path, "GET /livez") == (200, "ok\n")
    assert ask(socket_path, "GET /readyz")[0] == 200
    code, body = ask(socket_path, "GET /status")
    state = json.loads(body)
    assert (code, state["state"], state["ready"], state["grace_us"]) == (200, "armed", True, 6_000_000)
    # The drain hook cannot run; its time passes, and the preStop is answered all the same.
    code, body = ask(socket_path, "POST /prestop")
    state = json.loads(body)
    assert (code, state["reason"]["kind"], state["waiting_for_signal"]) == (200, "prestop", True)
    assert ask(socket_path, "GET /readyz")[0] == 503
    assert time.monotonic() - start < 3
    c.kill().end()
    assert c.rc == 1, c.words()
    assert c.outcomes() == {"python": "not_started"}
    assert [t["kind"] for t in c.report["triggers"]] == ["prestop", "signal"]
    assert c.lines == ["ready"]
