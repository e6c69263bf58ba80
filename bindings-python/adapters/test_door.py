"""A listener is closed without a reset: those in its queue are served, those who come late are refused in words."""

from __future__ import annotations

import errno
import os
import select
import socket
import subprocess
import sys
import threading
import time

import pytest

from graceshut import _door


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


def test_the_queue_is_seen(listener):
    one = found(listener)
    assert one.queued == 0 and one.name == listener.getsockname()
    with socket.create_connection(listener.getsockname()[:2]), socket.create_connection(listener.getsockname()[:2]):
        assert one.queued == 2
        listener.accept()[0].close()
        assert one.queued == 1
    one.forget()


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


def test_shut_door_keeps_the_queue_and_refuses_the_late(listener):
    address = listener.getsockname()[:2]
    one = found(listener)
    early = socket.create_connection(address)
    early.sendall(b"request")
    assert one.shut_door()
    late = socket.socket(listener.family)
    late.setblocking(False)
    assert late.connect_ex(address) == errno.EINPROGRESS
    time.sleep(0.05)
    assert one.queued == 1, "the late one stands before the door"
    served, _ = listener.accept()
    assert served.recv(100) == b"request" and one.queued == 0
    one.forget()
    listener.close()
    # What is open goes on; the late one is told, not cut off.
    early.sendall(b"more")
    assert served.recv(100) == b"more"
    assert select.select([], [late], [], 10)[1] and late.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNREFUSED
    for s in (early, served, late):
        s.close()


def test_a_listener_of_another_process_is_left_alone(listener):
    one = found(listener)
    assert _door.held_elsewhere([one]) == set()
    os.set_inheritable(listener.fileno(), True)
    command = [sys.executable, "-c", "import sys; print('ready', flush=True); sys.stdin.read()"]
    with subprocess.Popen(command, close_fds=False, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"ready\n"
        assert _door.held_elsewhere([one]) == {one.inode}
        other.stdin.close()
        other.wait(10)
    assert _door.held_elsewhere([one]) == set()
    one.forget()


def test_an_activator_keeps_its_listeners(listener, monkeypatch):
    one = found(listener)
    monkeypatch.setenv("LISTEN_FDS", "1")
    assert _door.held_elsewhere([one]) == {one.inode}
    one.forget()


def test_unix_sockets_have_no_door(tmp_path):
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(tmp_path / "s"))
        sock.listen()
        one = found(sock)
        assert one.queued is None and one.shut_door() is False
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
    assert one.shut_door()
    empty, limit = 0, time.monotonic() + 5
    while empty < 3:
        assert time.monotonic() < limit
        empty = 0 if one.queued else empty + 1
        time.sleep(0.01)
    one.forget()
    stop.set()
    serving.join(10)
    listener.close()
    for t in threads:
        t.join(20)
    assert set(ends) == {"done", "refused"} and ends.count("done") > 100 and ends.count("refused") == 24
