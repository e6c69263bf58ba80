"""Spec 6.4, row by row."""

import signal
import time

import pytest

WAITS = "sys.exit(gs.wait())"
SLEEPS = "time.sleep(60)"
READY = {WAITS: "ready_once_waiting()", SLEEPS: "print('ready')"}
LOCKS = "threading.Event().wait()"
LOOPS = "import asyncio; asyncio.new_event_loop().run_forever()"
SERVES = "import http.server as h; h.HTTPServer(('127.0.0.1', 0), h.BaseHTTPRequestHandler).serve_forever()"
SELECTS = "import select; select.select([], [], [], 60)"
JOINS = "threading.Thread(target=time.sleep, args=(60,), daemon=True).start(); threading.enumerate()[-1].join()"


@pytest.mark.parametrize("way", [WAITS, SLEEPS, LOCKS, LOOPS, SERVES, SELECTS, JOINS])
def test_clean_after_term_is_0_wherever_the_main_thread_is(child, way):
    c = child(f"gs = graceshut.install(grace=10)\nimport atexit; atexit.register(print, 'atexit')\nprint('ready')\n{way}")
    c.ready().kill().end()
    assert c.rc == 0 and c.lines == ["ready", "atexit"], c.words()
    assert c.gone_at - c.signalled_at < 3
    assert "Traceback" not in c.err


@pytest.mark.parametrize("where", ["o = C(); r = weakref.ref(o, linger); del o", "o = D(); del o"])
def test_where_nothing_can_be_raised_the_exit_comes_after(child, where):
    """What is raised in a weakref's callback or a __del__ is written to stderr and forgotten: an import's lock has such a one."""
    c = child(
        f"""
        import atexit, weakref
        gs = graceshut.install(grace=10); atexit.register(print, "atexit")
        class C: pass
        def linger(_=None):
            print("ready")
            time.sleep(8)
        class D:
            def __del__(self): linger()
        {where}
        time.sleep(60)
        """
    )
    c.ready().kill().end()
    assert c.rc == 0 and c.lines == ["ready", "atexit"], c.words()
    assert c.gone_at - c.signalled_at < 3 and "SystemExit" not in c.err


@pytest.mark.parametrize("way", [WAITS, SLEEPS])
def test_clean_after_int_is_death_by_int(child, way):
    c = child(f"gs = graceshut.install(grace=10)\nimport atexit; atexit.register(print, 'atexit')\n{READY[way]}\n{way}")
    c.ready().kill(signal.SIGINT).end()
    assert c.rc == -signal.SIGINT and c.lines == ["ready", "atexit"], c.words()
    assert ("KeyboardInterrupt" in c.err) == (way == SLEEPS)


@pytest.mark.parametrize("way", [WAITS, SLEEPS])
@pytest.mark.parametrize(
    ("options", "hook", "signo", "rc"),
    [
        ("", "pass", signal.SIGHUP, 0),
        ("", "1 / 0", signal.SIGTERM, 1),
        ("exit_code_degraded=9", "1 / 0", signal.SIGTERM, 9),
        ("exit_code_clean=7", "pass", signal.SIGTERM, 7),
        ("exit='reraise'", "pass", signal.SIGTERM, -signal.SIGTERM),
        ("exit='reraise'", "1 / 0", signal.SIGTERM, 1),
        ("", "sys.exit(5)", signal.SIGTERM, 5),
        ("", "sys.exit(0)", signal.SIGTERM, 0),
        ("", "sys.exit('in words')", signal.SIGTERM, 1),
        ("signals={signal.SIGUSR1: 'stop'}", "pass", signal.SIGUSR1, 0),
    ],
)
def test_after_a_signal(child, way, options, hook, signo, rc):
    c = child(
        f"gs = graceshut.install(grace=10, {options})\n@gs.hook('flush')\ndef h(): {hook}\n{READY[way]}\n{way}"
    )
    c.ready().kill(signo).end()
    assert c.rc == rc, c.words()


def test_forced_by_a_second_signal(child):
    c = child(
        "gs = graceshut.install(grace=20)\n@gs.hook('drain')\ndef slow(ctx):\n    print('in'); ctx.wait_cancelled(15)\n"
        "print('ready')\nsys.exit(gs.wait())"
    )
    c.ready().kill().read_until("in")
    time.sleep(0.7)  # a repeat within 500 ms is a duplicate
    c.kill().end()
    assert c.rc == 143 and c.report["outcome"] == "forced", c.words()


def test_forced_without_a_signal_is_70(child):
    c = child(
        "gs = graceshut.install(grace=0.6)\n@gs.hook('drain')\ndef slow(): time.sleep(20)\n"
        "@gs.hook('flush')\ndef later(): pass\ngs.stop('x')\ntime.sleep(60)"
    ).end()
    assert c.rc in (70, 1), c.words()
    assert c.rc == (70 if c.report["outcome"] == "forced" else 1)


def test_clean_after_stop_is_0(child):
    c = child("gs = graceshut.install(grace=10)\ngs.stop('done')\nsys.exit(gs.wait())").end()
    assert c.rc == 0


def test_own_code_after_the_shutdown_is_kept(child):
    c = child("gs = graceshut.install(grace=10)\nready_once_waiting()\ngs.wait()\nsys.exit(4)").ready().kill().end()
    assert c.rc == 4


def test_manual_never_leaves(child):
    c = child(
        "gs = graceshut.install(grace=10, exit='manual')\nready_once_waiting()\ncode = gs.wait()\n"
        "print(code, gs.report()['outcome'])\ngs.uninstall()\nprint(gs.state)\nsys.exit(6)"
    )
    c.ready().kill().end()
    assert c.rc == 6 and c.lines[1:] == ["0 clean", "idle"]


def test_wait_on_another_thread_leaves_leaving_to_the_main_thread(child):
    c = child(
        "gs = graceshut.install(grace=10)\nthreading.Thread(target=lambda: print('code', gs.wait()), daemon=True).start()\n"
        "print('ready')\ntime.sleep(60)"
    )
    c.ready().kill().end()
    assert c.rc == 0 and c.gone_at - c.signalled_at < 3, c.words()
