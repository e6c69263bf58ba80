"""Spec 2.6 for Python, row by row: how the host ends, whether that is a trigger, which hooks run, and the status."""

import signal

import pytest

HOOKS = """
import asyncio
gs = graceshut.install(grace=5)
@gs.hook("flush")
def sync(ctx): print("sync", ctx.reason)
@gs.hook("close")
async def coroutine():
    await asyncio.sleep(0.01)
    print("async")
gs.exec_hook("final", ["touch", "native"], name="native")
"""


@pytest.mark.parametrize(
    ("end", "reason", "kind", "rc"),
    [
        ("pass", "host_end", "host_end", 0),
        ("sys.exit(0)", "host_end", "host_end", 0),
        ("sys.exit(3)", "host_end", "host_end", 3),
        ("sys.exit('words')", "host_end", "host_end", 1),
        ("raise ValueError('boo')", "uncaught: ValueError: boo", "uncaught", 1),
        ("sys.excepthook = lambda *a: None\nraise ValueError('boo')", "uncaught: ValueError: boo", "uncaught", 1),
        ("threading.Thread(target=lambda: time.sleep(0.3) or print('thread done')).start()", "host_end", "host_end", 0),
        ("import concurrent.futures as f; f.ThreadPoolExecutor().submit(int)", "host_end", "host_end", 0),
    ],
)
def test_contained(child, end, reason, kind, rc):
    c = child(HOOKS + end).end()
    assert c.rc == rc, c.words()
    expected = ["sync " + reason, "async"]
    assert c.lines == (["thread done", *expected] if "thread done" in end else expected), c.words()
    assert (c.folder / "native").exists() and c.report["reason"]["kind"] == kind
    assert c.report["outcome"] == "clean"


def test_degraded_host_end(child):
    body = "gs = graceshut.install(grace=5)\n@gs.hook('flush')\ndef f(): 1 / 0\n"
    assert child(body).end().rc == 1
    assert child(body + "sys.exit(3)").end().rc == 3


def test_uncaught_and_degraded_keeps_1(child):
    c = child("gs = graceshut.install(grace=5, exit_code_degraded=9)\n@gs.hook('flush')\ndef f(): 1 / 0\nraise ValueError").end()
    assert c.rc == 1


def test_os__exit_is_not_contained(child):
    c = child(HOOKS + "os._exit(3)").end()
    assert c.rc == 3 and c.lines == [] and not (c.folder / "native").exists()


def test_abort_is_not_contained(child):
    c = child(HOOKS + "os.abort()").end()
    assert c.rc == -signal.SIGABRT and c.lines == []


def test_a_service_in_its_threads_goes_on_when_main_returns(child):
    c = child(
        """
        gs = graceshut.install(grace=5)
        stop = threading.Event()
        def serve():
            print("ready")
            stop.wait()
            print("served")
        gs.hook("drain", stop.set, name="server")
        threading.Thread(target=serve).start()
        """
    )
    c.ready().kill().end()
    assert c.rc == 0 and c.lines == ["ready", "served"] and c.report["reason"]["kind"] == "signal", c.words()


def test_a_signal_while_the_end_waits_for_its_hooks(child):
    c = child(
        "gs = graceshut.install(grace=10)\n@gs.hook('flush')\ndef f(ctx):\n    print('ready'); ctx.wait_cancelled(1); print('done')\n"
    )
    c.ready().kill().end()
    assert c.lines == ["ready", "done"] and c.report["reason"]["kind"] == "host_end", c.words()


def test_sys_exit_in_a_thread_ends_only_that_thread(child):
    c = child(HOOKS + "t = threading.Thread(target=sys.exit, args=(9,)); t.start(); t.join(); print('ready'); sys.exit(gs.wait())")
    c.ready().kill().end()
    assert c.rc == 0 and c.lines[1:] == ["sync SIGTERM", "async"]
