import signal

FIVE = """
    import asyncio
    gs = graceshut.install(grace=10)
    @gs.hook("final")
    def last(ctx): print("final", ctx.phase, ctx.name)
    @gs.hook("close")
    def first_registered(): print("close 1")
    @gs.hook("close")
    async def last_registered(): print("close 2")
    @gs.hook("flush")
    async def buffers(ctx):
        await asyncio.sleep(0.01)
        print("flush", ctx.reason.kind, ctx.reason.signal)
    gs.hook("flush", lambda ctx: print("after"), name="offsets", after="buffers")
    @gs.hook("drain", timeout=2)
    def server(ctx):
        assert 0 < ctx.remaining <= 2, ctx.remaining
        assert abs(ctx.deadline - time.monotonic() - ctx.remaining) < 0.5
        print("drain", bool(gs.stopping), bool(gs.draining), gs.state)
    @gs.hook("announce")
    def deregister(): print("announce", bool(gs.stopping), bool(gs.draining))
    print("ready")
    sys.exit(gs.wait())
"""


def test_phases_in_order_under_term(child):
    c = child(FIVE).ready().kill().end()
    assert c.rc == 0, c.words()
    assert c.lines[1:] == [
        "announce True False",
        "drain True True stopping(drain)",
        "flush signal TERM",
        "after",
        "close 2",
        "close 1",
        "final final last",
    ]
    report = c.report
    assert report["outcome"] == "clean" and report["host"]["language"] == "python"
    assert set(c.outcomes().values()) == {"ok"}


def test_async_hooks_run_on_the_programs_loop(child):
    c = child(
        """
        import asyncio
        gs = graceshut.install(grace=10)
        seen = []
        @gs.hook("drain")
        async def on_loop(ctx):
            print("same loop", asyncio.get_running_loop() is seen[0], threading.current_thread() is threading.main_thread())
        async def main():
            seen.append(asyncio.get_running_loop())
            seen[0].call_soon(print, "ready")
            await gs.stopped.wait()
            print("stopped", bool(gs.stopped))
            return gs.wait()
        sys.exit(asyncio.run(main()))
        """
    )
    for signo, rc in ((signal.SIGTERM, 0),):
        c.ready().kill(signo).end()
        assert c.rc == rc and c.lines[1:] == ["same loop True True", "stopped True"], c.words()


def test_ctrl_c_does_not_cancel_a_coroutine_that_waits_for_the_end(child):
    c = child(
        """
        import asyncio
        gs = graceshut.install(grace=10)
        @gs.hook("drain")
        async def slow(ctx):
            await asyncio.sleep(0.05)
            print("drained")
        async def main():
            asyncio.get_running_loop().call_soon(print, "ready")   # once this coroutine waits
            await gs.stopped.wait()
            print("stopped")
        asyncio.run(main())
        """
    )
    c.ready().kill(signal.SIGINT).end()
    assert c.rc == -signal.SIGINT and c.lines[1:] == ["drained", "stopped"], c.words()


def test_a_loop_that_hooks_outlive(child):
    c = child(
        """
        import asyncio
        gs = graceshut.install(grace=5)
        @gs.hook("close")
        async def later():
            await asyncio.sleep(0.01)
            print("ran on a loop of its own")
        gs.hook("drain", lambda: time.sleep(0.2), name="slow")
        async def main():
            print("ready")
            await gs.stopping.wait()
        asyncio.run(main())
        """
    )
    c.ready().kill().end()
    assert c.rc == 0 and c.lines[1:] == ["ran on a loop of its own"], c.words()


def test_cancellation_in_pythons_idiom(child):
    c = child(
        """
        import asyncio
        gs = graceshut.install(grace=10)
        @gs.hook("drain", timeout=0.4)
        async def coroutine(ctx):
            try:
                await asyncio.sleep(30)
            except asyncio.CancelledError:
                print("task cancelled", ctx.cancelled)
                raise
        @gs.hook("drain", timeout=0.4)
        def function(ctx):
            assert not ctx.cancelled
            assert ctx.wait_cancelled(30) is True and ctx.cancelled
            print("told")
        @gs.hook("drain", timeout=0.4)
        def deaf():
            time.sleep(1.5)
        @gs.hook("flush")
        def later(ctx): print("abandoned", ctx.abandoned)
        @gs.hook("flush")
        def more(ctx):
            before = ctx.remaining
            assert ctx.extend(0.1) >= 0
        print("ready")
        sys.exit(gs.wait())
        """
    )
    c.ready().kill().end()
    assert c.rc == 1, c.words()
    assert sorted(c.lines[1:]) == ["abandoned ['deaf']", "task cancelled True", "told"]
    assert c.outcomes() == {"coroutine": "cancelled", "function": "ok", "deaf": "abandoned", "later": "ok", "more": "ok"}
    assert c.hook("function")["late"] is True


def test_how_hooks_end(child):
    c = child(
        """
        import asyncio
        gs = graceshut.install(grace=10)
        @gs.hook("drain")
        def fails(): raise ValueError("no such table")
        @gs.hook("drain")
        async def fails_async(): raise LookupError("gone")
        @gs.hook("drain")
        def interrupted(): raise KeyboardInterrupt
        @gs.hook("drain")
        async def interrupted_async(): raise KeyboardInterrupt
        @gs.hook("drain")
        def waits():
            try: gs.wait()
            except graceshut.WrongThread as e: print("wait:", e.kind)
            try: gs.uninstall()
            except graceshut.WrongThread as e: print("uninstall:", e.kind)
        @gs.hook("drain", optional=True)
        def optional(): raise OSError("never mind")
        gs.hook("drain", lambda: asyncio.sleep(0.01), name="gives a coroutine")
        @gs.hook("flush")
        def stops(ctx):
            gs.stop("from inside"); ctx.log("a line"); ctx.progress(1, 2)
        print("ready")
        time.sleep(60)
        """
    )
    c.ready().kill().end()
    assert c.rc == 1, c.words()
    assert c.hook("fails")["message"] == "ValueError: no such table"
    assert c.hook("fails_async")["message"] == "LookupError: gone"
    assert c.outcomes() == {
        "fails": "failed", "fails_async": "failed", "interrupted": "failed", "interrupted_async": "failed",
        "waits": "ok", "optional": "failed", "gives a coroutine": "ok", "stops": "ok",
    }
    assert c.lines[1:] == ["wait: wrong_thread", "uninstall: wrong_thread"]


def test_hooks_that_need_no_python(child):
    c = child(
        """
        import http.server
        got = []
        class Answer(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                print("posted", self.path); self.send_response(404); self.end_headers()
            def log_message(self, *a): pass
        web = http.server.HTTPServer(("127.0.0.1", 0), Answer)
        threading.Thread(target=web.serve_forever, daemon=True).start()
        gs = graceshut.install(grace=10)
        gs.exec_hook("announce", [sys.executable, "-c", "open('touched', 'w')"], name="touch", env={"A": "b"})
        gs.http_hook("drain", "http://127.0.0.1:%d/bye" % web.server_port, accept=[404], timeout=5)
        gs.delay_hook("flush", 0.05)
        gs.inflight_hook("close", "jobs")
        sleeper = __import__("subprocess").Popen(["sleep", "60"])
        gs.signal_hook("final", signal.SIGKILL, pid=sleeper.pid)
        removed = gs.hook("final", print, name="never")
        assert removed.remove() == "removed" and removed.remove() == "done"
        print("ready")
        sys.exit(gs.wait())
        """
    )
    c.ready().kill().end()
    assert c.rc == 0, c.words() + str(c.report)
    assert c.lines[1:] == ["posted /bye"] and (c.folder / "touched").exists()
    assert {k: c.outcomes()[k] for k in ("touch", "http", "delay", "signal")} == {
        "touch": "ok", "http": "ok", "delay": "ok", "signal": "ok",
    }


def test_work_in_flight(child):
    c = child(
        """
        import asyncio
        gs = graceshut.install(grace=10)
        group = gs.group("jobs")
        assert group.enter() and group.in_flight == 1 and gs.in_flight == 1
        assert gs.enter() and gs.in_flight == 2
        with gs.track(): assert gs.in_flight == 3
        async def main():
            async with gs.track(): assert gs.in_flight == 3
        asyncio.run(main())
        def finish():
            assert gs.draining.wait(10)
            assert not gs.enter()
            try:
                with gs.track(): print("never")
            except graceshut.Draining as e: print(e.kind)
            try:
                with group.track(): print("never")
            except graceshut.Draining: print("group too")
            group.leave(); time.sleep(0.1); print("leaving"); gs.leave()
        threading.Thread(target=finish, daemon=True).start()
        gs.hook("flush", lambda: print("flush"), name="f")
        print("ready")
        sys.exit(gs.wait())
        """
    )
    c.ready().kill().end()
    assert c.rc == 0 and c.lines[1:] == ["draining", "group too", "leaving", "flush"], c.words()


def test_reload_stop_and_events(child):
    c = child(
        """
        import logging
        logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(name)s %(levelname)s %(message)s")
        gs = graceshut.install(grace=10)
        events = []
        gs.on_event(lambda e: events.append(e["event"]))
        reloaded = threading.Event()
        @gs.on_reload
        async def config(): reloaded.set()
        os.kill(os.getpid(), signal.SIGHUP)
        assert reloaded.wait(10)
        gs.hook("flush", lambda: 1 / 0, name="f")
        gs.stop("enough")
        code = gs.wait()
        assert code == 1, code
        report = gs.report()
        assert report["reason"]["message"] == "enough" and report["outcome"] == "degraded", report
        assert gs.stopped and gs.state == "stopped"
        print(sorted(set(events)))
        sys.exit(code)
        """
    ).end()
    assert c.rc == 1, c.words()
    text = c.out.decode()
    assert "graceshut WARNING hook flush/f failed: ZeroDivisionError: division by zero" in text
    assert "graceshut INFO trigger enough" in text and "graceshut WARNING shutdown degraded, exit status 1" in text
    assert "'trigger'" in text and "'hook_end'" in text and "'finished'" in text and "'reload'" in text


def test_a_coroutine_hook_registered_by_a_coroutine_hook(child):
    """The loop that the first one runs on is its own and ends with it: the second one gets another."""
    c = child(
        """
        import asyncio
        gs = graceshut.install(grace=5)
        @gs.hook("drain")
        async def first():
            @gs.hook("close")
            async def second(): print("second")
            await asyncio.sleep(0.01)
            print("first")
        print("ready")
        sys.exit(gs.wait())
        """
    )
    c.ready().kill().end()
    assert c.rc == 0 and c.lines[1:] == ["first", "second"], c.words()
