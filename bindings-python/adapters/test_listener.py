"""`gs.listener`: any server with a listening socket and a way to stop is part of the plan (spec 9.5)."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time

import pytest
from conftest import SOURCE, Verified, free_port

import graceshut


@pytest.fixture
def gs():
    with graceshut.installed(grace=10) as gs:
        yield gs


@pytest.fixture
def listening():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield sock


def outcomes(gs):
    return {(p["name"], h["name"]): (h["outcome"], h["message"]) for p in gs.report()["phases"] for h in p["hooks"]}


def test_the_recipe_of_the_readme_loses_nothing(tmp_path):
    port = free_port()
    url = "http://127.0.0.1:%d/" % port
    command = ["python", str(SOURCE.parent / "examples" / "python" / "any_server.py")]
    run = Verified(tmp_path / "run", command, "--after", "500ms", "--load", url, env={"PORT": str(port)})
    assert run.status == 0 and run.lost == 0 and run.exit_words == "0", run.words
    requests = run.verdict["requests"]
    assert requests["refused_503"] > 0 and requests["errors_5xx_after_signal"] == 0, run.words
    assert run.reports[0]["outcome"] == "clean"


def until(what, limit=5.0):
    end = time.monotonic() + limit
    while not what():
        assert time.monotonic() < end, "it never became so"
        time.sleep(0.005)


def test_refuse_then_what_is_in_flight_then_the_queue_then_close(gs, listening):
    order = []
    one = gs.listener(listening, lambda: order.append(("close", gs.in_flight)), lambda: order.append(("refuse", bool(gs.draining))))
    assert gs.serving and one.enter() and not one.stopping
    gs.stop("test")
    until(lambda: order)
    assert one.stopping and not one.enter()
    with pytest.raises(graceshut.Draining):
        with one:
            pass
    # Newcomers are still heard, and refused in words, while a request is answered.
    client = socket.create_connection(listening.getsockname())
    time.sleep(0.4)
    assert order == [("refuse", True)]
    one.leave()
    time.sleep(0.4)
    assert order == [("refuse", True)]  # it waits in the queue
    listening.accept()[0].close()
    client.close()
    until(lambda: len(order) == 2)
    assert order[1] == ("close", 0)
    assert gs.wait(10) == 0 and outcomes(gs)["drain", "server"] == ("ok", None)


def test_close_comes_before_the_soft_deadline_whatever_is_in_flight(listening):
    closed = []
    with graceshut.installed(grace=3) as gs:
        one = gs.listener(listening, lambda: closed.append(gs.in_flight))
        assert one.enter()
        gs.stop("test")
        until(lambda: closed)
        assert closed == [1]
        one.leave()
        assert gs.wait(10) == 0 and gs.report()["outcome"] == "clean"


def test_callbacks_run_on_the_loop_where_it_was_handed_over(gs):
    async def main():
        here, seen = threading.get_ident(), []
        server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)

        async def close():
            await asyncio.sleep(0.01)
            server.close()
            seen.append(threading.get_ident())

        one = gs.listener(server, close, lambda: seen.append(threading.get_ident()), name="api")
        async with one:
            gs.stop("test")
        await gs.stopped.wait()
        assert seen == [here, here] and not server.is_serving()

    asyncio.run(main())
    assert gs.wait(10) == 0 and outcomes(gs)["drain", "api"] == ("ok", None)


def test_a_coroutine_without_a_loop_there(gs, listening):
    closed = []

    async def close():
        await asyncio.sleep(0)
        closed.append(True)

    gs.listener([listening], close)
    gs.stop("test")
    assert gs.wait(10) == 0 and closed == [True]


def test_a_close_that_fails_fails_its_hook_alone(gs, listening):
    def close():
        raise RuntimeError("stuck accept loop")

    gs.listener(listening.fileno(), close)
    gs.hook("flush", lambda: None, name="buffers")
    gs.stop("test")
    assert gs.wait(10) == 1
    assert outcomes(gs)["drain", "server"] == ("failed", "RuntimeError: stuck accept loop")
    assert outcomes(gs)["flush", "buffers"] == ("ok", None)


@pytest.mark.parametrize("what", ["127.0.0.1:80", 1.5, object(), True, ["x"]])
def test_what_is_not_a_listener(gs, what):
    with pytest.raises(graceshut.BadValue, match="give the listening socket"):
        gs.listener(what, lambda: None)


def test_callbacks_are_callable(gs, listening):
    for bad in ({"close": "stop"}, {"close": lambda: None, "refuse": 1}):
        with pytest.raises(graceshut.BadValue, match="function"):
            gs.listener(listening, **bad)


def test_a_listener_that_its_server_closed_meanwhile(gs):
    sock = socket.create_server(("127.0.0.1", 0))
    gs.listener(sock, lambda: None)
    sock.close()
    gs.stop("test")
    assert gs.wait(10) == 0 and gs.report()["outcome"] == "clean"


def test_no_descriptor_is_left_open(gs, listening):
    before = len(os.listdir("/proc/self/fd"))
    for name in ("a", "b"):
        gs.listener(listening, lambda: None, name=name)
    gs.stop("test")
    assert gs.wait(10) == 0
    assert len(os.listdir("/proc/self/fd")) == before


OWN_HANDLER = """
import asyncio, os, signal, socket, sys
import graceshut
gs = graceshut.install(grace=8)

async def main():
    stop = asyncio.Event()
    calls = []
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, lambda: (calls.append(bool(gs.draining)), stop.set()))
    server = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
    gs.listener(server, None if "signal" in sys.argv else server.close)
    print("ready", flush=True)
    await stop.wait()
    # The server's own handler heard of the one signal when its turn had come.
    print("trace heard", calls, flush=True)
    server.close()
    await asyncio.sleep(1)  # its own stop goes on beside the rest of the plan, and beyond it
    print("trace stopped", flush=True)

asyncio.run(main())
sys.exit(gs.wait())
"""


@pytest.mark.parametrize("how", ["close", "signal"])
def test_the_servers_own_handler_hears_of_the_signal_in_its_turn(tmp_path, how):
    run = Verified(tmp_path / "run", ["python", "-c", OWN_HANDLER, how], "--after", "100ms")
    assert run.status == 0 and run.exit_words == "0", run.words
    assert run.traces == ["heard [True]", "stopped"], run.words
    assert run.reports[0]["outcome"] == "clean"
