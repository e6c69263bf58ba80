"""Embedding B14 to B18, B23: beside other handlers."""

import signal

import pytest


def test_keyboard_interrupt_is_kept(child):
    c = child(
        """
        gs = graceshut.install(grace=10)
        gs.hook("flush", lambda: print("flush"), name="f")
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        try:
            print("ready")
            time.sleep(60)
        except KeyboardInterrupt:
            print("interrupted")
        sys.exit(gs.wait())
        """
    )
    c.ready().kill(signal.SIGINT).end()
    assert sorted(c.lines[1:]) == ["flush", "interrupted"] and c.rc == -signal.SIGINT, c.words()


def test_handlers_before_and_after_install_are_called(child):
    c = child(
        """
        from signal import signal as set_handler   # taken before install
        def first(signo, frame): print("first", signo)
        set_handler(signal.SIGTERM, first)
        gs = graceshut.install(grace=10)
        assert signal.getsignal(signal.SIGTERM) is first
        def second(signo, frame): print("second", signo)
        assert set_handler(signal.SIGTERM, second) is first
        assert signal.getsignal(signal.SIGTERM) is second
        assert signal.signal(signal.SIGHUP, signal.SIG_DFL) is signal.SIG_DFL
        print("ready")
        code = gs.wait()
        print({h["signal"]: h["state"] for h in gs.report()["handler"]})
        sys.exit(code)
        """
    )
    c.ready().kill().end()
    assert c.rc == 0 and c.lines[1] == "second 15", c.words()
    assert c.lines[2] == "{'HUP': 'ours', 'INT': 'ours', 'TERM': 'ours'}"


def test_asyncio_handlers_keep_working(child):
    c = child(
        """
        import asyncio
        gs = graceshut.install(grace=10)
        gs.hook("flush", lambda: print("flush"), name="f")
        async def main():
            loop = asyncio.get_running_loop()
            told = asyncio.Event()
            loop.add_signal_handler(signal.SIGHUP, lambda: None)
            assert loop.remove_signal_handler(signal.SIGHUP)
            loop.add_signal_handler(signal.SIGTERM, told.set)
            loop.call_soon(print, "ready")
            await told.wait()
            print("asyncio told")
            await gs.stopped.wait()
        asyncio.run(main())
        sys.exit(gs.wait())
        """
    )
    c.ready().kill().end()
    assert c.rc == 0 and sorted(c.lines[1:]) == ["asyncio told", "flush"], c.words()
    assert c.report["reason"]["signal"] == "TERM"


REREADS = {
    "signal": """
        signal.signal(signal.SIGHUP, lambda *_: print("read again"))
        print("ready")
        sys.exit(gs.wait())
        """,
    "asyncio": """
        import asyncio
        async def main():
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, lambda: print("read again"))
            print("ready")
            await gs.stopped.wait()
        asyncio.run(main())
        sys.exit(gs.wait())
        """,
}


@pytest.mark.parametrize("how", REREADS)
def test_hup_is_left_to_a_program_that_handles_it(child, how):
    """Spec 3.4: it reads its configuration again, as without graceshut."""
    c = child("""
        gs = graceshut.install(grace=10)
        gs.hook("flush", lambda: print("flush"), name="f")""" + REREADS[how])
    c.ready()
    for _ in range(2):
        c.kill(signal.SIGHUP).read_until("read again")
    c.kill().end()
    assert c.rc == 0 and [t["signal"] for t in c.report["triggers"]] == ["TERM"], c.words()


def test_restore_and_reraise_is_the_same_shutdown(child):
    """uvicorn's sequence (B17): replace, wait, restore what was there, raise the captured signal again."""
    c = child(
        """
        gs = graceshut.install(grace=10)
        @gs.hook("drain")
        def slow(): time.sleep(0.2); print("drained")
        caught = []
        def handle(signo, frame): caught.append(signo)
        before = {s: signal.signal(s, handle) for s in (signal.SIGTERM, signal.SIGINT)}
        assert before == {signal.SIGTERM: signal.SIG_DFL, signal.SIGINT: signal.default_int_handler}, before
        print("ready")
        while not caught: time.sleep(0.01)
        for s, h in before.items(): signal.signal(s, h)
        for s in reversed(caught): signal.raise_signal(s)
        print("still here")
        """
    )
    c.ready().kill().end()
    assert c.rc == 0 and c.lines[1:] == ["still here", "drained"], c.words()
    assert c.report["outcome"] == "clean" and len(c.report["triggers"]) == 2


def test_siginterrupt_and_wakeup_fd(child):
    c = child(
        """
        import socket
        gs = graceshut.install(grace=10)
        a, b = socket.socketpair(); a.setblocking(False); b.setblocking(False)
        signal.set_wakeup_fd(b.fileno())
        signal.siginterrupt(signal.SIGTERM, False)
        gs.hook("flush", lambda: print("flush"), name="f")
        a.setblocking(True); a.settimeout(20)
        print("ready")
        print("wakeup", a.recv(1)[0])
        sys.exit(gs.wait())
        """
    )
    c.ready().kill().end()
    assert c.rc == 0 and sorted(c.lines[1:]) == ["flush", "wakeup 15"], c.words()


def test_wrong_use_of_signal_signal_fails_as_ever(child):
    c = child(
        """
        gs = graceshut.install(grace=10, exit="manual")
        def elsewhere():
            try: signal.signal(signal.SIGTERM, signal.SIG_DFL)
            except ValueError: print("ValueError")
        t = threading.Thread(target=elsewhere); t.start(); t.join()
        for wrong in ("text", None, 17):
            try: signal.signal(signal.SIGTERM, wrong)
            except (TypeError, ValueError): print("refused")
        gs.uninstall()
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        print("ready")
        time.sleep(60)
        """
    )
    c.ready().kill().end()
    assert c.lines[:4] == ["ValueError"] + ["refused"] * 3 and c.rc == -signal.SIGTERM, c.words()


def test_install_on_another_thread(child):
    c = child(
        """
        def go():
            gs = graceshut.install(grace=10)
            gs.hook("flush", lambda: print("flush"), name="f")
        t = threading.Thread(target=go); t.start(); t.join()
        for _ in range(1000): pass
        print("ready")
        time.sleep(60)
        """
    )
    c.ready().kill().end()
    assert c.rc == 0 and c.lines[1:] == ["flush"] and "outside the main thread" in c.err, c.words()
    assert c.gone_at - c.signalled_at < 3


def test_nohup_is_respected(child):
    c = child(
        """
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        gs = graceshut.install(grace=10)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        os.kill(os.getpid(), signal.SIGHUP)
        print("ready")
        sys.exit(gs.wait())
        """
    )
    c.ready().kill().end()
    assert c.rc == 0 and c.report["reason"]["signal"] == "TERM", c.words()


@pytest.mark.parametrize("signo", [signal.SIGINT, signal.SIGHUP, signal.SIGQUIT])
def test_what_the_program_ignores_for_a_while_stays_ignored(child, signo):
    """A program does so round a child that is to have the Ctrl-C for itself (spec 3.5)."""
    c = child(
        """
        gs = graceshut.install(grace=10, signals={"QUIT": "stop"})
        signo = signal.Signals(int(os.environ["SIGNO"]))
        told = []
        for handler in (lambda *_: told.append("told"), signal.SIG_DFL):
            before = signal.signal(signo, signal.SIG_IGN)
            assert signal.getsignal(signo) is signal.SIG_IGN
            print("ready" if handler is not signal.SIG_DFL else "again")
            time.sleep(0.4)
            print(gs.state, *told)
            assert signal.signal(signo, handler) is signal.SIG_IGN
        print("armed again")
        sys.exit(gs.wait())
        """,
        env={"SIGNO": str(int(signo))},
    )
    c.ready().kill(signo).read_until("again")
    c.kill(signo).read_until("armed again")
    c.kill(signo).end()
    assert c.lines[1:] == ["armed", "again", "armed", "armed again"] and "SIG_IGN" not in c.err, c.words()
    assert c.rc == (-signo if signo == signal.SIGINT else 0) and c.report["reason"]["signal"] == signo.name[3:], c.words()


def test_a_program_that_ignores_term_is_not_cut_before_the_deadline(child):
    c = child(
        """
        gs = graceshut.install(grace=10)
        gs.hook("flush", lambda: print("flushed"), name="f")
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("ready")
        while not gs.stopped: time.sleep(0.02)
        time.sleep(0.7)
        print("what must not be cut")
        """
    )
    c.ready().kill().end()
    assert c.lines[1:] == ["flushed", "what must not be cut"] and c.rc == 0 and "still acts on it" in c.err, c.words()


def test_ctrl_c_before_wait_is_a_keyboard_interrupt_and_the_signal_the_reason(child):
    c = child(
        """
        gs = graceshut.install(grace=10)
        @gs.hook("flush")
        async def f(): print("flush")
        os.kill(os.getpid(), signal.SIGINT)
        sys.exit(gs.wait())
        """
    ).end()
    assert c.rc == -signal.SIGINT and c.lines == ["flush"] and c.report["reason"]["kind"] == "signal", c.words()
