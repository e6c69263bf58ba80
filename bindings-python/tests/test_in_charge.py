"""Staying in charge beside code that replaces handlers: what test_signals.py does not have (embedding A6, B14, B16, B22, B23)."""

import os
import signal
import subprocess
import time

import pytest

import graceshut


def caught(pid: int, signo: int) -> bool:
    line = next(line for line in open(f"/proc/{pid}/status") if line.startswith("SigCgt"))
    return bool(int(line.split()[1], 16) >> (signo - 1) & 1)


def test_a_sigaction_of_other_native_code_is_noticed(child):
    """No shim hears of it; core looks soon after `install`, then every 5 s (spec 3.5)."""
    c = child(
        """
        import ctypes
        gs = graceshut.install(grace=10)
        gs.hook("flush", lambda: print("flush"), name="f")
        gs.on_event(lambda e: print(e["event"], e["message"], e["outcome"]) if e["event"] == "handler" else None)
        assert ctypes.CDLL(None).signal(15, None) not in (0, -1)
        print("ready")
        time.sleep(60)
        """
    ).ready()
    # Repaired 10 ms later at the earliest, which may be before this looks: the report tells that it was.
    until = time.monotonic() + 5 + 2
    while not caught(c.process.pid, signal.SIGTERM):
        assert time.monotonic() < until, c.words()
        time.sleep(0.05)
    c.kill().end()
    # The event is told by a thread of its own, which the hook on the main thread may overtake.
    told = [line for line in c.lines if line.startswith("handler ")]
    assert c.rc == 0 and len(told) == 1 and "SIG_DFL" in told[0] and "flush" in c.lines, c.words()
    assert {h["signal"]: h["repairs"] for h in c.report["handler"]} == {"HUP": 0, "INT": 0, "TERM": 1}


def test_a_handler_of_other_native_code_is_chained_to(child):
    c = child(
        """
        import ctypes
        told = []
        gs = graceshut.install(grace=10)
        libc = ctypes.CDLL(None)
        handler = ctypes.CFUNCTYPE(None, ctypes.c_int)(lambda signo: print("theirs", signo))
        libc.signal.argtypes = [ctypes.c_int, ctypes.c_void_p]
        libc.signal(15, ctypes.cast(handler, ctypes.c_void_p))
        gs.on_event(lambda e: print("repaired") if e["event"] == "handler" else None)
        sys.exit(gs.wait())
        """
    )
    c.read_until("repaired")
    c.kill().end()
    assert c.rc == 0 and "theirs 15" in c.lines and c.report["reason"]["signal"] == "TERM", c.words()


def test_keyboard_interrupt_ends_a_blocking_read_at_once(child):
    """A6: CPython installs without SA_RESTART; ours on top must not bring it in."""
    c = child(
        """
        gs = graceshut.install(grace=10)
        r, w = os.pipe()
        try:
            print("ready")
            os.read(r, 1)
        except KeyboardInterrupt: print("interrupted")
        sys.exit(gs.wait())
        """
    )
    c.ready().kill(signal.SIGINT).end()
    assert c.lines[1:] == ["interrupted"] and c.rc == -signal.SIGINT, c.words()
    # A read that was restarted would end with the watchdog only, at 9.7 s.
    assert c.gone_at - c.signalled_at < 8


def test_hooks_do_not_wait_for_a_main_thread_that_is_deep_in_c(child):
    """B22: the GIL is free and Python's own handler is late by the whole rest of the call."""
    c = child(
        """
        import hashlib
        gs = graceshut.install(grace=10, exit="manual")
        late = []
        signal.signal(signal.SIGTERM, lambda *a: late.append(time.monotonic()))
        ran = []
        gs.hook("flush", lambda: ran.append(time.monotonic()), name="f")
        print("ready")
        began = time.monotonic()
        hashlib.pbkdf2_hmac("sha256", b"x", b"y", 5_000_000)
        over = time.monotonic()
        gs.wait()
        for _ in range(1000): pass
        # However fast this machine computes: the signal comes in the first half of the call.
        print("hook during the call", ran[0] < over, "handler at its end", late[0] > (began + over) / 2, over - began)
        """
    ).ready()
    time.sleep(0.2)
    c.kill().end()
    assert c.rc == 0 and c.lines[1].startswith("hook during the call True handler at its end True"), c.words()


def test_from_another_thread_the_main_thread_finishes(child):
    c = child(
        """
        told = []
        def go():
            try: told.append(graceshut.install(grace=10))
            except BaseException as e: told.append(e)
        t = threading.Thread(target=go); t.start(); t.join()
        gs, = told
        assert gs.state == "armed"
        for _ in range(1000): pass
        # Python's table is taken care of: ours is called, and a handler that comes later does not win.
        from graceshut import _signals
        assert _signals._real_getsignal(signal.SIGTERM) is _signals._on_signal
        def later(signo, frame): print("later", signo)
        assert signal.signal(signal.SIGTERM, later) is signal.SIG_DFL
        print("ready")
        sys.exit(gs.wait())
        """
    )
    c.ready().kill().end()
    assert c.rc == 0 and c.lines[1:] == ["later 15"] and c.report["reason"]["signal"] == "TERM", c.words()
    assert "installed outside the main thread" in c.err and "call install in the main thread" in c.err


SUBINTERPRETER = """
try: import _interpreters as interpreters
except ImportError: import _xxsubinterpreters as interpreters
own = interpreters.create()
code = '''
try:
    import graceshut
    graceshut.install(exit="manual")
except Exception as e:
    import os; os.write(1, ("%s: %s\\\\n" % (type(e).__name__, e)).encode())
'''
interpreters.run_string(own, code)
"""


@pytest.mark.parametrize("first", ["main", "sub"])
def test_a_subinterpreter_is_refused_in_words(child, first):
    c = child(
        ("gs = graceshut.install(grace=10)\n" if first == "main" else "")
        + SUBINTERPRETER
        + """
gs = graceshut.install(grace=10)   # the main one is none the worse
gs.hook("flush", lambda: print("flush"), name="f")
assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
print("ready")
sys.exit(gs.wait())
"""
    )
    c.ready().kill().end()
    assert c.rc == 0 and c.lines[1:] == ["ready", "flush"], c.words()
    assert c.lines[0].startswith(("Unsupported: a subinterpreter cannot", "ImportError: module graceshut._graceshut does not support")), c.words()


@pytest.mark.needs("cc")
def test_a_c_handler_from_before_python(child, tmp_path):
    """B16: Python has no object for it and answers None; giving that back raised TypeError in a server's restore."""
    source, library = tmp_path / "early.c", tmp_path / "early.so"
    source.write_text(
        "#include <signal.h>\n#include <unistd.h>\n"
        'static void h(int s) { (void)s; if (write(1, "early\\n", 6)) {} }\n'
        "__attribute__((constructor)) static void set(void) { signal(SIGTERM, h); }\n"
    )
    subprocess.run(["cc", "-shared", "-fPIC", "-o", str(library), str(source)], check=True, timeout=60)
    c = child(
        """
        os.environ.pop("LD_PRELOAD")
        assert signal.getsignal(signal.SIGTERM) is None
        gs = graceshut.install(grace=10)
        gs.hook("flush", lambda: print("flush"), name="f")
        if "restore" in os.environ:
            def theirs(signo, frame): print("theirs")
            before = signal.signal(signal.SIGTERM, theirs)
            assert callable(before) and signal.getsignal(signal.SIGTERM) is theirs
            assert signal.signal(signal.SIGTERM, before) is theirs
        else:
            assert callable(signal.getsignal(signal.SIGTERM))
        print("ready")
        sys.exit(gs.wait())
        """,
        {"LD_PRELOAD": str(library)},
    )
    c.ready().kill().end()
    assert c.rc == 0 and sorted(c.lines[1:]) == ["early", "flush"], c.words()
    c = child(c.script.read_text(), {"LD_PRELOAD": str(library), "restore": "1"})
    c.ready().kill().end()
    assert c.rc == 0 and c.lines[1:] == ["flush"] and c.report["reason"]["signal"] == "TERM", c.words()


def test_a_fork_inside_a_hook(child):
    """The child is no hook, and has the thread that forked for its main thread."""
    c = child(
        """
        gs = graceshut.install(grace=10, report="none")
        @gs.hook("flush")
        def forks():
            pid = os.fork()
            if pid == 0:
                try:
                    gs.rearm(); gs.stop("inner"); code = gs.wait()
                    print("inner", gs.reason.message, code)
                finally: os._exit(7)
            print("child", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        print("ready")
        sys.exit(gs.wait())
        """,
        {"GRACESHUT_REPORT": "none"},
    )
    c.ready().kill().end()
    assert c.rc == 0 and c.lines[1:] == ["inner inner 0", "child 7"], c.words()


def test_installed_is_a_context_manager_for_tests():
    before = {s: signal.getsignal(s) for s in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    ran = []
    with graceshut.installed(grace=2) as gs:
        gs.hook("flush", lambda: ran.append(1), name="f")
        assert graceshut.current() is gs and gs.state == "armed"
        with pytest.raises(graceshut.Disagree, match="uninstall first"):
            with graceshut.installed():
                pass
        assert gs.state == "armed"
        gs.stop("test")
        os.getpid()
    assert ran == [1] and graceshut.current() is None and gs.state == "idle"
    assert before == {s: signal.getsignal(s) for s in before}
    with pytest.raises(ZeroDivisionError):
        with graceshut.installed():
            1 / 0
    assert graceshut.current() is None
