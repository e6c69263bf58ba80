"""Coroutine hooks run on the program's own loop, whichever kind it is; elsewhere on one of their own."""

import signal

import pytest

asyncio_main = "import asyncio\nsleep = asyncio.sleep\ndef run(f): asyncio.run(f())\ndef me(): return id(asyncio.get_running_loop())\n"
LOOPS = {
    "asyncio": asyncio_main,
    "uvloop": asyncio_main + "import uvloop\ndef run(f):\n    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy()); asyncio.run(f())\n",
    "trio": "import trio\nsleep = trio.sleep\ndef run(f): trio.run(f)\ndef me(): return id(trio.lowlevel.current_trio_token())\n",
    "anyio-asyncio": asyncio_main + "import anyio\nsleep = anyio.sleep\ndef run(f): anyio.run(f)\n",
    "anyio-trio": "import anyio, trio\nsleep = anyio.sleep\ndef run(f): anyio.run(f, backend='trio')\n"
    "def me(): return id(trio.lowlevel.current_trio_token())\n",
}


@pytest.fixture(params=LOOPS)
def loop(request):
    return LOOPS[request.param]


@pytest.mark.parametrize("where", ["before the loop", "inside it"])
def test_hooks_run_on_the_programs_loop(child, loop, where):
    c = child(
        loop
        + f"""
import contextvars
gs = graceshut.install(grace=10)
seen = []
def hooks():
    @gs.hook("drain")
    async def on_loop(ctx):
        await sleep(0.01)
        print("drain", me() == seen[0], threading.current_thread() is threading.main_thread(), bool(gs.draining))
    @gs.hook("flush", timeout=2)
    async def too_slow(ctx):
        try: await sleep(30)
        finally: print("cancelled", ctx.cancelled)
    @gs.hook("close")
    async def fails(): raise ValueError("boo")
    @gs.on_reload
    async def reload():
        print("reload", me() == seen[0])
        seen.append("reloaded")
if {where == "before the loop"}: hooks()
async def main():
    seen.append(me())
    if {where == "inside it"}: hooks()
    assert not await gs.stopping.wait(0.01)
    async with gs.track(): assert gs.in_flight == 1
    gs.reload()
    while seen[-1] != "reloaded": await sleep(0.01)
    print("ready")
    await gs.stopping
    assert gs.stopping
    assert await gs.draining.wait(5)
    await gs.stopped.wait()
    print("stopped")
run(main)
sys.exit(gs.wait())
"""
    )
    c.ready().kill().end()
    assert c.lines == ["reload True", "ready", "drain True True True", "cancelled True", "stopped"], c.words()
    assert c.outcomes() == {"on_loop": "ok", "too_slow": "cancelled", "fails": "failed"} and c.rc == 1
    assert c.hook("fails")["message"] == "ValueError: boo" and c.report["outcome"] == "degraded"


def test_ctrl_c_is_the_shutdown_and_does_not_cancel_who_waits(child, loop):
    c = child(
        loop
        + """
gs = graceshut.install(grace=10)
@gs.hook("drain")
async def slow():
    await sleep(0.05)
    print("drained")
async def main():
    ready_once_waiting()
    await gs.stopped.wait()
    print("stopped")
run(main)
"""
    )
    c.ready().kill(signal.SIGINT).end()
    assert c.lines[1:] == ["drained", "stopped"] and c.rc == -signal.SIGINT, c.words()


def test_who_has_waited_goes_on_by_itself(child, loop):
    """As after ``gs.wait()``: a pool that needs a second to close was cut by SystemExit. The coroutine wakes up when the plan is
    over; the report is written later, here as late as it may be."""
    c = child(
        loop
        + """
gone, full = os.pipe()
os.set_blocking(full, False)
try:
    while True: os.write(full, b" " * 4096)
except BlockingIOError: os.set_blocking(full, True)
os.environ["GRACESHUT_REPORT"] = "fd:%d" % full
gs = graceshut.install(grace=10)
async def main():
    ready_once_waiting()
    await gs.stopped.wait()
    await sleep(1)
    print("pool closed")
run(main)
time.sleep(0.2)
print("what follows the loop")
"""
    )
    c.ready().kill(signal.SIGINT).end()
    assert c.lines[1:] == ["pool closed", "what follows the loop"] and c.rc == -signal.SIGINT, c.words()


def test_who_has_waited_for_the_beginning_stops_by_itself(child, loop):
    c = child(
        loop
        + """
gs = graceshut.install(grace=10)
gs.hook("flush", lambda: print("flushed"), name="f")
async def main():
    ready_once_waiting()
    await gs.stopping
    await sleep(1)
    print("pool closed")
run(main)
time.sleep(0.2)
print("what follows the loop")
"""
    )
    c.ready().kill().end()
    assert c.lines[1:] == ["flushed", "pool closed", "what follows the loop"] and c.rc == 0, c.words()
    assert (c.report["outcome"], c.report["leave"]["how"]) == ("clean", "by_itself"), c.report


def test_a_task_beside_that_waits_keeps_nothing_alive(child):
    """What only logs the end must not have a server without a stop of its own wait for the deadline."""
    c = child(
        """
import asyncio
gs = graceshut.install(grace=10)
async def logs():
    await gs.stopped
    print("stopped")
async def main():
    task = asyncio.create_task(logs())
    print("ready")
    await asyncio.Event().wait()
asyncio.run(main())
"""
    )
    c.ready().kill().end()
    assert c.lines == ["ready", "stopped"] and c.rc == 0, c.words()
    assert c.gone_at - c.signalled_at < 5


def test_a_loop_that_ends_too_early_is_named(child, loop):
    c = child(
        loop
        + """
gs = graceshut.install(grace=5)
async def main():
    @gs.hook("drain")
    async def slow():
        print("began")
        await sleep(1)
    @gs.hook("flush")
    async def later():
        await sleep(0.01)
        print("on a loop of its own", me() != seen[0])
    seen.append(me())
    ready_once_waiting()
    await gs.stopping.wait()
    while "began" not in said: await sleep(0.01)
seen, said, real = [], [], print
def print(*words): said.append(words[0]); real(*words)
run(main)
"""
    )
    c.ready().kill().end()
    if c.rc == 0:
        # asyncio's end waits for them: test_own_stop.py has more.
        assert c.lines[1:] == ["began", "on a loop of its own False"] and "trio" not in loop, c.words()
        return
    assert c.lines[1] == "began" and c.rc == 1 and "trio" in loop and "TrioInternalError" not in c.err, c.words()
    assert c.hook("slow")["outcome"] in ("failed", "cancelled"), c.report
    if c.hook("later")["outcome"] == "ok":
        assert c.lines[2:] == ["on a loop of its own True"], c.words()
    else:
        assert "await gs.stopped.wait() before leaving it" in c.hook("later")["message"]


def test_a_program_that_does_not_wait_ends_all_the_same(child, loop):
    c = child(
        loop
        + """
import atexit
gs = graceshut.install(grace=5)
atexit.register(print, "atexit")
gs.hook("flush", lambda: print("flushed"), name="f")
async def main():
    print("ready")
    await sleep(60)
run(main)
"""
    )
    c.ready().kill().end()
    assert c.rc == 0 and c.lines[1:] == ["flushed", "atexit"], c.words()
    assert c.gone_at - c.signalled_at < 4 and "Traceback" not in c.err


def test_made_to_leave_between_two_steps_of_the_loop(child):
    """The main task has ended and the loop is about to stop when SystemExit is due: what stops it is not left for the loop's next run,
    with which ``asyncio.run`` cleans up."""
    c = child(
        """
        import asyncio
        class Starved(asyncio.SelectorEventLoop):
            def _run_once(self):
                if ended and not slept:
                    slept.append(True)
                    until = time.monotonic() + 1.5
                    while time.monotonic() < until: time.sleep(0.01)
                super()._run_once()
        ended, slept = [], []
        gs = graceshut.install(grace=10)
        async def main():
            print("ready")
            await gs.stopped.wait()
            ended.append(True)
        loop = Starved()
        try:
            loop.run_until_complete(main())
        finally:
            loop.run_until_complete(asyncio.sleep(0.01))  # as asyncio.run waits for what it has cancelled
            loop.close()
        """
    )
    c.ready().kill().end()
    assert c.rc == 0 and "Traceback" not in c.err, c.words()
