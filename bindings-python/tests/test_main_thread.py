"""Spec 6.5: the main thread is made to leave from wherever it is, and no part of the program hears a signal that was not sent."""

import signal

import pytest

LOOPS = {
    "asyncio": "",
    "uvloop": "import uvloop; asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())\n",
    "tornado-like": "def handlers(loop, told): signal.signal(signal.SIGTERM, lambda *_: loop.call_soon_threadsafe(told))\n",
}


@pytest.mark.parametrize("loop", LOOPS)
def test_one_signal_is_heard_once(child, loop):
    """The end of the plan was a second SIGTERM to whoever hangs on the wake-up descriptor: aiohttp and sanic took it for "at once"."""
    c = child(
        "import asyncio\n"
        "def handlers(loop, told): loop.add_signal_handler(signal.SIGTERM, told)\n"
        + LOOPS[loop]
        + """
gs = graceshut.install(grace=9, leave="at_once")
gs.hook("flush", lambda: print("flushed"), name="f")
async def main():
    handlers(asyncio.get_running_loop(), lambda: print("told"))
    print("ready")
    try: await asyncio.sleep(20)
    finally: await asyncio.sleep(0.1)
asyncio.run(main())
"""
    )
    c.ready().kill().end()
    assert sorted(c.lines[1:]) == ["flushed", "told"] and c.rc == 0, c.words()
    assert c.gone_at - c.signalled_at < 1.5


@pytest.mark.parametrize("step", ["setblocking", "close"], ids=["begins", "ends"])
def test_not_while_a_loop_begins_or_ends(child, step):
    """uvloop then counts as running but is not the thread's running loop. An exception raised there leaves it so for good, and
    its end fails: uvicorn's workers ended with 1 instead of 0."""
    c = child(
        f"""
import asyncio, socket, uvloop
gs = graceshut.install(grace=9, leave="at_once")
gs.hook("flush", lambda: print("flushed"), name="f")
over, asked = threading.Event(), []
gs.on_event(lambda event: over.set() if event["event"] == "finished" else None)
real = socket.socket.{step}
def slow(*args):
    if not asked:
        asked.append(asyncio._get_running_loop())
        print("ready")
        over.wait(5)
        time.sleep(0.3)  # meanwhile the main thread is asked to leave
    return real(*args)
asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
loop = asyncio.new_event_loop()
try:
    socket.socket.{step} = slow
    loop.run_until_complete(asyncio.sleep(0.01))
    assert asked == [None]
    loop.run_until_complete(asyncio.sleep(9))
finally:
    print("running" if loop.is_running() else "stopped")
    loop.close()
"""
    )
    c.ready().kill().end()
    assert c.lines == ["ready", "flushed", "stopped"] and c.rc == 0 and "Error" not in c.err, c.words()
    assert c.gone_at - c.signalled_at < 3


def test_a_busy_main_thread_is_told_without_a_signal(child):
    """A loop on its way out has closed its wake-up descriptor: CPython's handler, which writes to it, complained on stderr."""
    c = child(
        """
        import socket
        gs = graceshut.install(grace=9)
        closed = threading.Event()
        gs.hook("flush", lambda: closed.wait(5) or None, name="f")
        a, b = socket.socketpair()
        b.setblocking(False)
        signal.set_wakeup_fd(b.fileno())
        print("ready")
        while not gs.stopping: pass
        b.close()
        closed.set()
        while True: sum(range(1000))
        """
    )
    c.ready().kill().end()
    assert c.rc == 0 and c.err == "" and c.gone_at - c.signalled_at < 3, c.words()


BLOCKED = {
    "sleep": "time.sleep(30)",
    "select": "import select; select.select([os.pipe()[0]], [], [], 30)",
    "lock": "held = threading.Lock(); held.acquire(); held.acquire()",
    "condition": "threading.Event().wait(30)",
    "read": "os.read(os.pipe()[0], 1)",
    "sigwaitinfo": "signal.sigwaitinfo([signal.SIGUSR1])",
    "busy": "while True: pass",
    "join": "t = threading.Thread(target=time.sleep, args=(30,), daemon=True); t.start(); t.join()",
}


def test_wherever_the_main_thread_is(child):
    found = {}
    started = {
        kind: child(
            f"""
            import atexit
            gs = graceshut.install(grace=9)
            gs.hook("flush", lambda: None, name="f")
            atexit.register(print, "atexit")
            print("ready")
            try: {code if ";" not in code and ":" not in code else f"exec({code!r})"}
            finally: print("finally")
            """
        )
        for kind, code in BLOCKED.items()
    }
    for c in started.values():
        c.ready()
    for kind, c in started.items():
        c.kill()
    for kind, c in started.items():
        c.end()
        found[kind] = (c.lines[1:], c.rc, c.gone_at - c.signalled_at < 7)
    assert found == {kind: (["finally", "atexit"], 0, True) for kind in BLOCKED}


def test_the_wake_up_descriptor_tells_of_no_second_stop(child):
    c = child(
        """
        import socket
        gs = graceshut.install(grace=5)
        a, b = socket.socketpair(); b.setblocking(False)
        signal.set_wakeup_fd(b.fileno())
        heard = []
        print("ready")
        try:
            while True: heard += a.recv(1)
        finally: print(heard.count(signal.SIGTERM), [signo for signo in heard if signo < signal.SIGRTMIN])
        """
    )
    c.ready().kill().end()
    assert c.lines[1:] == ["1 [15]"] and c.rc == 0, c.words()


def test_real_time_signals_stay_the_programs(child):
    """Python's table and the kernel show nothing of it before the end, and who takes a number has it."""
    c = child(
        """
        import ctypes
        before = [signal.getsignal(s) for s in range(1, 65)]
        gs = graceshut.install(grace=5)
        assert [signal.getsignal(s) for s in range(1, 65)] == before
        caught = next(line for line in open("/proc/self/status") if line.startswith("SigCgt")).split()[1]
        assert int(caught, 16) >> 33 == 0, caught
        mine, heard = [], set()
        for s in range(signal.SIGRTMIN, signal.SIGRTMAX + 1, 2):
            assert signal.signal(s, lambda signo, frame: heard.add(signo)) in (0, None), s
            mine.append(s)
        for s in mine: signal.raise_signal(s)
        assert heard == set(mine), heard ^ set(mine)
        # Others in C, behind Python's back.
        note = ctypes.CFUNCTYPE(None, ctypes.c_int)(lambda signo: heard.add(-signo))
        libc = ctypes.CDLL(None)
        for s in (62, 60): assert libc.signal(s, note) != -1
        libc.raise_(62) if hasattr(libc, "raise_") else os.kill(os.getpid(), 62)
        while -62 not in heard: time.sleep(0.01)
        print("ready")
        try: time.sleep(30)
        finally: print(sorted(heard ^ set(mine)))
        """
    )
    c.ready().kill().end()
    assert c.lines[1:] == ["[-62]"] and c.rc == 0 and c.gone_at - c.signalled_at < 3, c.words()


def test_uninstall_leaves_nothing_in_the_table(child):
    c = child(
        """
        before = [signal.getsignal(s) for s in range(1, 65)]
        for _ in range(3):
            graceshut.install(exit="manual").uninstall()
            assert [signal.getsignal(s) for s in range(1, 65)] == before
        from graceshut import _graceshut
        assert _graceshut.reserved() == []
        """
    ).end()
    assert c.rc == 0, c.words()


def test_what_the_program_says_of_threads_is_not_believed(child):
    """gevent and eventlet replace these with greenlets' addresses; one that reaches pthread_kill ends in SIGSEGV."""
    c = child(
        """
        import _thread
        class Main:
            ident = 0x7f0000000010
        real = threading.main_thread, threading.get_ident
        threading.main_thread = lambda: Main
        threading.get_ident = _thread.get_ident = lambda: 0x7f0000000020
        gs = graceshut.install(grace=9)
        from graceshut import _signals
        gs.hook("drain", lambda: _signals.release(15), name="released")
        _signals.hold([15])
        print("ready")
        try: time.sleep(30)
        finally:
            threading.main_thread, threading.get_ident = real
            print("finally")
        """
    )
    c.ready().kill().end()
    assert c.lines[1:] == ["finally"] and c.rc == 0 and c.gone_at - c.signalled_at < 3, c.words()


@pytest.mark.parametrize("hub", ["gevent", "eventlet"])
def test_under_a_monkey_patched_hub(child, hub):
    """Hung to the deadline, or SIGSEGV."""
    patch = {"gevent": "from gevent import monkey; monkey.patch_all()", "eventlet": "import eventlet; eventlet.monkey_patch()"}[hub]
    c = child(
        f"""
        {patch}
        gs = graceshut.install(grace=9)
        gs.hook("flush", lambda: print("flushed"), name="f")
        print("ready")
        try:
            while True: time.sleep(0.2)
        finally: print("finally")
        """
    )
    c.ready().kill().end()
    assert c.lines[1:] == ["flushed", "finally"] and c.rc == 0 and c.gone_at - c.signalled_at < 4, c.words()


@pytest.mark.needs("cc")
def test_a_main_thread_that_sleeps_in_c_is_left_behind(child, tmp_path):
    """uWSGI's accept loop goes on after every EINTR: it never takes what it is told, and the process hung to its deadline."""
    import subprocess

    source, library = tmp_path / "deaf.c", tmp_path / "deaf.so"
    source.write_text("#include <unistd.h>\nvoid deaf(void) { for (;;) pause(); }\n")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", str(library), str(source)], check=True, timeout=60)
    c = child(
        f"""
        import atexit, ctypes
        atexit.register(print, "atexit")
        gs = graceshut.install(grace=9)
        gs.hook("flush", lambda: print("flushed"), name="f")
        print("ready")
        sys.stdout = open(1, "w", closefd=False)
        sys.stdout.write("held back")
        ctypes.CDLL({str(library)!r}).deaf()
        """
    )
    c.ready().kill(signal.SIGTERM).end()
    assert c.lines[1:3] == ["flushed", "atexit"] and c.lines[3] == "held back" and c.rc == 0, c.words()
    assert 0.3 < c.gone_at - c.signalled_at < 4
