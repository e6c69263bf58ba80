"""Embedding B21, B22: a held GIL costs the Python hooks, never the native ones nor the deadline."""

import signal

import pytest

HOLDS = {
    "sum": "sum(range(10 ** 10))",
    "C call": "libc.sleep(30)",
}


@pytest.mark.parametrize("how", HOLDS)
def test_held_gil(child, how):
    c = child(
        f"""
        gs = graceshut.install(grace=2, report=os.environ["GRACESHUT_REPORT"])
        @gs.hook("drain", timeout=0.3)
        def python(): print("never")
        gs.exec_hook("flush", ["touch", "native"], name="native")
        @gs.hook("close", timeout=0.2)
        async def coroutine(): print("never")
        # Blocked in this thread, or the signal would end the sleep.
        signal.pthread_sigmask(signal.SIG_BLOCK, {{signal.SIGTERM}})
        import ctypes
        libc = ctypes.PyDLL(None)
        libc.write(1, b"ready\\n", 6)   # the GIL is kept from here on
        {HOLDS[how]}
        """
    )
    c.ready().kill().end()
    # D + margin/2 is 2 s - 0.1 s + 0.05 s; the rest is what this machine needs to tell us.
    assert c.gone_at - c.signalled_at < 1.95 + 0.5
    assert c.rc == 1, c.words()
    assert (c.folder / "native").exists() and c.lines == ["ready"]
    assert c.outcomes() == {"python": "not_started", "native": "ok", "coroutine": "not_started"}
    assert c.hook("python")["why"] == "host_busy" and c.report["outcome"] == "degraded"


def test_blocked_event_loop(child):
    c = child(
        """
        import asyncio
        gs = graceshut.install(grace=2)
        @gs.hook("drain", timeout=0.3)
        def function(): print("function")
        @gs.hook("flush", timeout=0.3)
        async def coroutine(): print("never")
        async def main():
            gs.hook("close", lambda: print("close"), name="c")
            loop = asyncio.get_running_loop()
            await asyncio.sleep(0)
            bool(gs.stopping.wait(0) is None)
            print("ready")
            time.sleep(1.2)
            await asyncio.sleep(30)
        asyncio.run(main())
        """
    )
    c.ready().kill(signal.SIGTERM).end()
    assert c.lines[1:] == ["function", "close"] and c.hook("coroutine")["outcome"] == "not_started", c.words()
    assert c.rc == 1
