"""Embedding B20: the interpreter goes away under no native thread."""

import pytest


@pytest.mark.parametrize("turn", range(30))
def test_finalisation_under_fire(child, turn):
    c = child(
        """
        import asyncio, logging
        logging.basicConfig(level=logging.INFO)
        gs = graceshut.install(grace=5)
        gs.on_event(lambda e: sum(range(2000)))
        for i in range(20):
            gs.hook("drain", lambda ctx: [ctx.progress(n, 100) or ctx.log("x") for n in range(30)], name="h%d" % i)
        async def coroutine(ctx): await asyncio.sleep(0.001)
        for i in range(5): gs.hook("final", coroutine, name="c%d" % i)
        print("ready")
        time.sleep(60)
        """
    )
    c.ready().kill().end()
    assert c.rc == 0, c.words()
    assert "FATAL" not in c.err and "exception not rethrown" not in c.err


def test_a_hook_that_never_returns_is_left_behind(child):
    c = child(
        """
        gs = graceshut.install(grace=5)
        @gs.hook("drain", timeout=0.2)
        def spins():
            while True: time.sleep(0.001)
        gs.hook("flush", lambda: print("flush"), name="f")
        print("ready")
        sys.exit(gs.wait())
        """
    )
    c.ready().kill().end()
    assert c.rc == 1 and c.lines[1:] == ["flush"], c.words()
    assert c.gone_at - c.signalled_at < 4.9 and "FATAL" not in c.err


def test_a_hanging_atexit_is_ended(child):
    c = child(
        "gs = graceshut.install(grace=1.5)\nimport atexit; atexit.register(time.sleep, 60)\nprint('ready')\nsys.exit(gs.wait())"
    )
    c.ready().kill().end()
    assert c.rc == 0 and c.gone_at - c.signalled_at < 2.5, c.words()
