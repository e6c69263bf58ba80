"""A listener is closed without a reset: those in its queue are served, those who come late are refused in words."""

from __future__ import annotations

import os
import socket
import threading
import time

import pytest

import graceshut
from graceshut import _door
from graceshut._graceshut import Linger


@pytest.fixture(params=["127.0.0.1", "::1"])
def listener(request):
    family = socket.AF_INET6 if ":" in request.param else socket.AF_INET
    with socket.socket(family) as sock:
        sock.bind((request.param, 0))
        sock.listen(64)
        yield sock


def found(sock):
    ours = [one for one in _door.listeners() if one.inode == os.fstat(sock.fileno()).st_ino]
    assert len(ours) == 1
    return ours[0]


def test_the_admin_endpoint_is_none_of_the_servers(listener, tmp_path):
    host, port = listener.getsockname()[:2]
    address = "[%s]:%d" % (host, port) if ":" in host else "%s:%d" % (host, port)
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(tmp_path / "a.sock"))
        unix.listen(1)
        for sock, at in [(listener, address), (unix, "unix:%s" % (tmp_path / "a.sock"))]:
            inode = os.fstat(sock.fileno()).st_ino
            for but, there in [(None, True), (at, False)]:
                ours = _door.listeners(but=but)
                assert (inode in [one.inode for one in ours]) is there
                for one in ours:
                    one.forget()


def test_a_unix_socket_is_found_and_named(tmp_path):
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(tmp_path / "s"))
        sock.listen()
        one = found(sock)
        assert one.address == "unix:%s" % (tmp_path / "s") and one.fileno() != sock.fileno()
        one.forget()


def test_nothing_is_lost_under_a_storm_of_connections(listener):
    """Many clients, each request on a connection of its own, while the listener goes: answered or refused, nothing else."""
    address, ends, stop = listener.getsockname()[:2], [], threading.Event()

    def server():
        listener.settimeout(0.01)
        while not stop.is_set():
            try:
                with listener.accept()[0] as connection:
                    connection.recv(100)
                    connection.sendall(b"done")
            except socket.timeout:
                pass

    def client():
        while True:
            try:
                with socket.create_connection(address, timeout=10) as s:
                    s.sendall(b"work")
                    end = "done" if s.recv(10) == b"done" else "cut off"
            except ConnectionRefusedError:
                end = "refused"
            except OSError as error:
                end = repr(error)
            ends.append(end)
            if end != "done":
                return

    threads = [threading.Thread(target=client) for _ in range(24)]
    serving = threading.Thread(target=server)
    for t in [serving, *threads]:
        t.start()
    time.sleep(0.3)
    one = found(listener)
    steps = []

    def drain(ctx):
        linger = Linger(ctx)
        while not linger.step(came=True, busy=False, listeners=[one.fileno()]):
            steps.append(ctx.remaining)
            assert not ctx.wait_cancelled(0.01)

    with graceshut.installed(grace=10) as gs:
        gs.hook("drain", drain)
        gs.stop("test")
        assert gs.wait(10) == 0, gs.report()
    assert len(steps) > 3
    one.forget()
    stop.set()
    serving.join(10)
    listener.close()
    for t in threads:
        t.join(20)
    assert set(ends) == {"done", "refused"} and ends.count("done") > 100 and ends.count("refused") == 24
