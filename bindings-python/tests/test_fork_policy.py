"""Embedding F40 to F42, B19; spec 10.1, 10.2: what becomes of children, by policy."""

import glob
import os
import signal
import sys
import time

import pytest


def test_rearm_goes_on_behind_the_same_object(child):
    c = child(
        """
        gs = graceshut.install(grace=10, after_fork="rearm")
        gs.hook("flush", lambda: print("parent only", os.getpid() == parent), name="p")
        @gs.hook("flush", fork="inherit")
        def both(ctx): print("both", os.getpid() == parent, ctx.reason)
        @gs.hook("flush", fork="inherit")
        async def coroutine(): print("coroutine", os.getpid() == parent)
        gs.hook("flush", lambda: print("never"), name="removed", fork="inherit").remove()
        gs.exec_hook("final", ["sh", "-c", "grep SigBlk /proc/self/status"], name="e", fork="inherit")
        events = []
        gs.on_event(lambda e: events.append(e["event"]), fork="inherit")
        gs.serving = True
        parent = os.getpid()
        token = gs.track(); token.__enter__()
        pid = os.fork()
        if pid == 0:
            assert graceshut.current() is gs and gs.state == "armed" and gs.in_flight == 0 and gs.serving
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
            with gs.track(): assert gs.in_flight == 1
            print("ready")
            try: time.sleep(60)
            finally: print("events", events[0])
        token.leave()
        _, status = os.waitpid(pid, 0)
        print("child", os.waitstatus_to_exitcode(status), gs.state)
        gs.stop("enough")
        sys.exit(gs.wait())
        """,
        {"GRACESHUT_ANNOUNCE_DELAY": "0s"},
    )
    c.ready()
    inner = int(open(f"/proc/{c.process.pid}/task/{c.process.pid}/children").read())
    os.kill(inner, signal.SIGTERM)
    c.end()
    mask = "SigBlk:\t" + "0" * 16
    assert c.rc == 0, c.words()
    assert sorted(c.lines[1:5]) == [mask, "both False SIGTERM", "coroutine False", "events trigger"], c.words()
    assert c.lines[5] == "child 0 armed" and sorted(c.lines[6:]) == [
        mask, "both True stop: enough", "coroutine True", "parent only True",
    ], c.words()


def test_rearm_by_hand(child):
    """What a prefork server's post_fork hook does."""
    c = child(
        """
        gs = graceshut.install(grace=10)
        gs.hook("flush", lambda ctx: print("inherited", ctx.reason), name="i", fork="inherit")
        if os.fork() == 0:
            try: gs.stop(); print("not closed")
            except graceshut.Closed: pass
            assert gs.rearm() is gs and gs.rearm() is gs and graceshut.current() is gs
            if os.fork() == 0:     # and its children by the same policy
                assert gs.state == "idle"
                gs.rearm(); sys.exit(4)
            assert os.waitstatus_to_exitcode(os.wait()[1]) == 4
            sys.exit(3)
        print("child", os.waitstatus_to_exitcode(os.wait()[1]))
        assert gs.rearm() is gs
        gs.uninstall()
        try: gs.rearm()
        except graceshut.Closed: print("closed")
        """,
        {"GRACESHUT_REPORT": "none"},
    ).end()
    assert c.rc == 0 and c.lines == ["inherited host_end", "inherited host_end", "child 3", "closed"], c.words()


def test_declared_hooks_and_the_service_manager(child, tmp_path):
    import socket

    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(str(tmp_path / "notify"))
    c = child(
        """
        gs = graceshut.install(grace=10, after_fork="rearm", hook=[
            {"phase": "flush", "name": "p", "exec": ["sh", "-c", "echo parent"]},
            {"phase": "flush", "name": "i", "exec": ["sh", "-c", "echo inherited"], "fork": "inherit"},
        ])
        if os.fork() == 0:
            gs.stop("child"); sys.exit(gs.wait())
        os.wait()
        print("now")
        gs.stop("parent"); sys.exit(gs.wait())
        """,
        {"NOTIFY_SOCKET": str(tmp_path / "notify"), "GRACESHUT_REPORT": "none"},
    ).end()
    assert c.rc == 0 and c.lines[:2] == ["inherited", "now"] and sorted(c.lines[2:]) == ["inherited", "parent"], c.words()
    manager.setblocking(False)
    said = []
    while True:
        try:
            said.append(manager.recv(4096).decode())
        except BlockingIOError:
            break
    assert sum("STOPPING=1" in word for word in said) == 1, said


def test_words_and_agreement(manual):
    import graceshut

    with pytest.raises(graceshut.BadConfig, match='"disarm" or "rearm"'):
        graceshut.install(after_fork="always")  # type: ignore[typeddict-item]
    with pytest.raises(graceshut.Disagree, match="after_fork"):
        graceshut.install(exit="manual", report="none", grace=5, after_fork="rearm")
    for wrong in ("both", None, 1):
        with pytest.raises(graceshut.BadConfig, match="inherit"):
            manual.on_reload(print, fork=wrong)
        with pytest.raises(graceshut.BadConfig, match="inherit"):
            manual.on_event(print, fork=wrong)
    with pytest.raises(graceshut.BadConfig, match='"inherit" is wanted|did you mean'):
        manual.hook("flush", print, fork="inherits")


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize("policy", ["disarm", "rearm"])
def test_multiprocessing(child, method, policy):
    """Pools work, terminate() ends children, and the second trigger runs the hooks at a child's own end (B19)."""
    c = child(
        f"""
        import multiprocessing
        def square(n): return n * n
        def own(kind):
            gs = graceshut.install(grace=10, after_fork={policy!r}, report="none")
            gs.hook("flush", lambda ctx: print("own", kind, ctx.reason), name="own")
            if kind == "raises": raise ValueError("boo")
            if kind == "exits": sys.exit(5)
            if kind == "fails": gs.hook("close", lambda: 1 / 0, name="bad")
        def nothing(): pass
        if __name__ == "__main__":
            gs = graceshut.install(grace=10, after_fork={policy!r}, report="none")
            gs.hook("flush", lambda ctx: print("inherited", ctx.reason, os.getpid() == parent), name="i", fork="inherit")
            parent = os.getpid()
            mp = multiprocessing.get_context({method!r})
            with mp.Pool(2) as pool: print(pool.map(square, [1, 2, 3]))
            p = mp.Process(target=time.sleep, args=(60,)); p.start()
            time.sleep(0.3 if {method!r} == "fork" else 1.0)
            p.terminate(); p.join(20)
            print("terminated", p.exitcode)
            p = mp.Process(target=nothing); p.start(); p.join(20)
            print("nothing", p.exitcode)
            for kind in ("returns", "raises", "exits", "fails"):
                p = mp.Process(target=own, args=(kind,)); p.start(); p.join(20)
                print("left", p.exitcode)
            print("end")
        """,
        {"GRACESHUT_REPORT": "none"},
    )
    c.end(60)
    inherits = policy == "rearm" and method == "fork"
    expected = ["[1, 4, 9]", "terminated 0" if inherits else "terminated -15", "nothing 0"]
    for kind, reason, code in (
        ("returns", "host_end", 0), ("raises", "uncaught: ValueError: boo", 1), ("exits", "host_end", 5), ("fails", "host_end", 1),
    ):
        if sys.version_info >= (3, 13) and kind == "raises":
            reason = "host_end"  # it prints the error, forgets it, and then ends
        expected += [f"own {kind} {reason}", f"left {code}"]
    lines = [line for line in c.lines if not line.startswith("inherited")]
    assert c.rc == 0 and lines == [*expected, "end"], c.words()
    told = [line for line in c.lines if line.startswith("inherited")]
    assert told[-1] == "inherited host_end True"
    # Pool workers are terminated, the sleeper too; every other child came to its own end.
    assert len(told) == (1 + 2 + 1 + 1 + 4 if inherits else 1), c.words()


def shoot(pid: int, pause: float) -> bool:
    """TERM to the first child of a process, after a pause; whether it had not called exec yet."""
    until, own = time.monotonic() + 20, open(f"/proc/{pid}/cmdline").read()
    while time.monotonic() < until:
        try:
            kids = "".join(open(task).read() for task in glob.glob(f"/proc/{pid}/task/*/children")).split()
        except FileNotFoundError:
            continue  # a thread ended
        if kids:
            time.sleep(pause)
            before_exec = open(f"/proc/{kids[0]}/cmdline").read() == own
            os.kill(int(kids[0]), signal.SIGTERM)
            return before_exec
        time.sleep(0.001)
    pytest.fail("no child was made")


@pytest.mark.parametrize("how", ["", "user=os.getuid()", "preexec_fn=int"])
def test_a_signal_between_fork_and_exec_is_not_lost(child, how):
    """Python's own fork path has no at-fork hook to run there; the child is on its way through a long PATH."""
    # On a busy machine one may come too late, which says nothing.
    pauses = (0.1, 0.03, 0.01, 0, 0, 0)
    c = child(
        f"""
        import subprocess
        gs = graceshut.install(grace=10, after_fork="rearm")
        path = ["/nowhere/%d" % n for n in range(200_000)] + os.environ["PATH"].split(":")
        os.get_exec_path = lambda env=None: path
        for attempt in range({len(pauses)}):
            print("attempt", attempt)
            p = subprocess.Popen(["sleep", "20"], {how})
            print("child", p.wait(15), gs.state)
        """,
        {"GRACESHUT_REPORT": "none"},
    )
    before_exec = []
    for attempt, pause in enumerate(pauses):
        c.read_until(f"attempt {attempt}")
        before_exec.append(shoot(c.process.pid, pause))
    c.end()
    assert c.rc == 0 and c.lines[1::2] == ["child -15 armed"] * len(pauses), c.words()
    assert any(before_exec), before_exec
