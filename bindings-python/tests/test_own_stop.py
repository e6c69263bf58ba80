"""A program that ends its own event loop takes no hook along: "cancel every task, then leave", ``loop.stop``, ``asyncio.run``'s end."""

import socket
import time

import pytest

SWEEPS = {
    "every task": """
async def main():
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    async def sweep():
        tasks = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
        for t in tasks: t.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    def stop(): loop.kept = asyncio.ensure_future(sweep())
    handlers(loop, stop)
    loop.call_soon(print, "ready")
    try: await over.wait()
    except asyncio.CancelledError: print("main cancelled")
asyncio.run(main())
print("main ends")
""",
    "main returns": """
async def main():
    over = asyncio.Event()
    handlers(asyncio.get_running_loop(), over.set)
    asyncio.get_running_loop().call_soon(print, "ready")
    await over.wait()
asyncio.run(main())
print("main ends")
""",
    "loop.stop and close": """
loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)
handlers(loop, loop.stop)
loop.call_soon(print, "ready")
loop.run_forever()
for t in asyncio.all_tasks(loop): t.cancel()
loop.run_until_complete(asyncio.sleep(0))
loop.close()
print("main ends")
""",
    "loop.stop": """
loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)
handlers(loop, loop.stop)
loop.call_soon(print, "ready")
loop.run_forever()
print("main ends")
""",
}


@pytest.mark.parametrize("kind", ["asyncio", "uvloop"])
@pytest.mark.parametrize("late", [False, True], ids=["at once", "amid a hook"])
@pytest.mark.parametrize("sweep", SWEEPS)
def test_hooks_outlive_the_programs_own_stop(child, sweep, late, kind):
    c = child(
        f"""
import asyncio
if {kind!r} == "uvloop":
    import uvloop; asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
gs = graceshut.install(grace=5)
for phase in ("drain", "flush", "close"):
    @gs.hook(phase, name=phase)
    async def hook(ctx):
        # With children of its own, and a timeout, which cancels the task it runs in.
        await asyncio.gather(asyncio.sleep(0.05), asyncio.wait_for(asyncio.sleep(0.05), 3))
        try: await asyncio.wait_for(asyncio.Event().wait(), 0.02)
        except asyncio.TimeoutError: pass
        print(ctx.phase)
def handlers(loop, stop):
    loop.add_signal_handler(signal.SIGTERM, lambda: loop.call_later(0.05 if {late} else 0, stop))
"""
        + SWEEPS[sweep]
    )
    c.ready().kill().end()
    assert [line for line in c.lines if not line.startswith("main")] == ["ready", "drain", "flush", "close"], c.words()
    assert "main ends" in c.lines and c.rc == 0 and c.report["outcome"] == "clean", c.words()
    assert c.gone_at - c.signalled_at < 4 and "pending" not in c.err


def test_a_hook_that_the_program_cancels_says_so(child):
    c = child(
        """
        import asyncio
        gs = graceshut.install(grace=5)
        @gs.hook("flush")
        async def f(ctx):
            mine.append(asyncio.current_task())
            await asyncio.sleep(3)
        mine = []
        async def main():
            print("ready")
            def sweeper(): mine[0].cancel()
            await gs.draining
            while not mine: await asyncio.sleep(0.01)
            sweeper()
            await gs.stopped
        asyncio.run(main())
        """
    )
    c.ready().kill().end()
    assert c.hook("f")["message"].startswith("cancelled by the program, not by graceshut: in sweeper ("), c.report
    assert c.rc == 1


def test_a_loop_ends_as_ever_where_nothing_is_under_way(child):
    c = child(
        """
        import asyncio
        gs = graceshut.install(grace=5)
        async def main():
            @gs.hook("flush")
            async def f(): print("flushed")
            await asyncio.sleep(0)
        began = time.monotonic()
        asyncio.run(main())
        asyncio.run(main())
        print("ends", time.monotonic() - began < 1)
        """
    ).end()
    assert c.lines == ["ends True", "flushed", "flushed"] and c.rc == 0, c.words()


def test_a_server_that_is_left_standing_refuses_newcomers(child):
    """Its main thread is gone and threads that are no daemons keep the process until D: who comes then hears of it at once."""
    c = child(
        """
        import socket, threading
        import graceshut.wsgi
        gs = graceshut.install(grace=10)
        listener = socket.create_server(("127.0.0.1", 0))
        app = graceshut.wsgi.Middleware(lambda environ, start: [b""])
        answer = app({"REQUEST_METHOD": "GET", "PATH_INFO": "/", "wsgi.url_scheme": "http"}, lambda *_: None)
        list(answer)
        answer.close()
        threading.Thread(target=time.sleep, args=(60,)).start()
        print(listener.getsockname()[1])
        print("ready")
        time.sleep(60)
        """
    )
    port = int(c.ready().lines[0])
    c.kill()
    until = time.monotonic() + 8
    while True:
        assert time.monotonic() < until, c.words()
        assert c.process.poll() is None, c.words()
        try:
            socket.create_connection(("127.0.0.1", port), timeout=0.2).close()
        except TimeoutError:
            pass  # turned away: its kernel tries again
        except ConnectionRefusedError:
            break
        time.sleep(0.02)
    assert c.process.poll() is None, "refused because it was gone"
    c.process.kill()
    c.end()
