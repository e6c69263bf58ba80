"""gRPC: calls under way are answered, new ones are told to go elsewhere before they are begun."""

from __future__ import annotations

import socket
import threading
import time

import grpc
import pytest
from conftest import Verified, free_port, versions


def reachable(host, port, limit=15.0):
    until = time.monotonic() + limit
    while time.monotonic() < until:
        try:
            return socket.create_connection((host, port), 1).close()
        except OSError:
            time.sleep(0.01)
    raise AssertionError("nothing listens on %s:%d" % (host, port))


def call(channel, seconds, found):
    try:
        found.append(channel.unary_unary("/test.Test/Work")(seconds, timeout=15, wait_for_ready=False))
    except grpc.RpcError as error:
        found.append(error.code())


@pytest.mark.parametrize("kind", ["sync", "aio"])
def test_grpc(kind, tmp_path, row):
    port, slow, quick = free_port(), [], []
    ready, over = threading.Event(), threading.Event()

    def clients():
        # A channel that finds no server tries again a second later, when this one may be stopping already.
        reachable("127.0.0.1", port)
        with grpc.insecure_channel("127.0.0.1:%d" % port) as channel:
            grpc.channel_ready_future(channel).result(15)
            threads = [threading.Thread(target=call, args=(channel, b"1.5", slow)) for _ in range(3)]
            for t in threads:
                t.start()
            while not over.is_set() and (not quick or quick[-1] == b"done"):
                call(channel, b"0.01", quick)
            for t in threads:
                t.join(15)
        ready.set()

    thread = threading.Thread(target=clients)
    thread.start()
    try:
        run = Verified(tmp_path / "run", ["python", "grpc_server.py", kind, str(port)], "--after", "800ms")
    finally:
        over.set()
        thread.join(20)
    run.check_plan(1)
    assert slow == [b"done"] * 3, slow
    lost = [one for one in quick if one not in (b"done", grpc.StatusCode.UNAVAILABLE)]
    # How many there are in 0.8 s is the machine's matter.
    assert not lost and quick.count(b"done") > 2, quick[-3:]
    name = "gRPC" if kind == "sync" else "gRPC, aio"
    row(
        {
            "name": name, "version": versions(["grpcio"]), "line": "`graceshut.grpc.follow(server)`", "signals": "kept", "hooks": "run",
            "lost_without": None, "lost": len(lost), "unit": "calls", "answered": len(quick) + 3, "exit": run.exit_words,
        }
    )
