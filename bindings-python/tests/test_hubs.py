"""gevent and eventlet: hooks run in the main thread's hub, and waiting lets the others run."""

import pytest

HUBS = {
    "gevent": "from gevent import monkey; monkey.patch_all()\nimport gevent\nspawn, getcurrent = gevent.spawn, gevent.getcurrent\n",
    "eventlet": "import eventlet; eventlet.monkey_patch()\nfrom greenlet import getcurrent\nspawn = eventlet.spawn\n",
}


@pytest.fixture(params=HUBS)
def hub(request):
    return HUBS[request.param]


def test_hooks_run_in_the_hub(child, hub):
    c = child(
        hub
        + """
gs = graceshut.install(grace=6)
beats = []
def beat():
    while True: time.sleep(0.01); beats.append(1)
spawn(beat)
from graceshut import _graceshut
main = _graceshut.thread_id()
@gs.hook("drain")
def plain(ctx):
    before = len(beats)
    time.sleep(0.1)                       # the hub's: others run
    ctx.wait_cancelled(0.1)
    print("drain", _graceshut.thread_id() == main, len(beats) - before > 5)
@gs.hook("flush", timeout=1)
def too_slow():
    try: time.sleep(30)
    except BaseException as error: print("killed", type(error).__name__); raise
@gs.hook("close")
async def coroutine():
    import asyncio
    await asyncio.sleep(0.05)
    print("close", _graceshut.thread_id() == main)
@gs.hook("final")
def fails(): raise ValueError("boo")
gs.on_event(lambda e: print("heard", _graceshut.thread_id() == main) if e["event"] == "trigger" else None)
ready_once_waiting()
code = gs.wait()
print("beats while waiting", len(beats) > 3, getcurrent().parent is None or "main")
sys.exit(code)
"""
    )
    c.ready().kill().end()
    assert sorted(c.lines[1:-1]) == sorted(["heard True", "drain True True", "killed GreenletExit", "close True"]), c.words()
    assert c.lines[-1].startswith("beats while waiting True") and c.rc == 1, c.words()
    assert c.outcomes() == {"plain": "ok", "too_slow": "cancelled", "coroutine": "ok", "fails": "failed"}


@pytest.mark.parametrize("where", ["sleep", "event", "greenlet"])
def test_the_main_greenlet_leaves(child, hub, where):
    last = {
        "sleep": "time.sleep(30)",
        "event": "threading.Event().wait(30)",
        "greenlet": "busy = spawn(lambda: [time.sleep(0.001) for _ in range(30000)]); time.sleep(30)",
    }[where]
    c = child(
        hub
        + f"""
gs = graceshut.install(grace=9)
gs.hook("flush", lambda: print("flushed"), name="f")
print("ready")
try: {last}
finally: print("finally", getcurrent().parent is None or threading.current_thread() is threading.main_thread())
"""
    )
    c.ready().kill().end()
    assert c.lines[1:] == ["flushed", "finally True"] and c.rc == 0 and c.gone_at - c.signalled_at < 4, c.words()


def test_a_hub_that_is_deaf_keeps_no_hook_from_running(child, hub):
    """The main thread is in C, and its hub takes nothing."""
    c = child(
        hub
        + """
import ctypes
gs = graceshut.install(grace=9)
gs.hook("flush", lambda: print("flushed"), name="f")
time.sleep(0.01)
print("ready")
ctypes.CDLL(None).usleep(3000000)
time.sleep(30)
"""
    )
    c.ready().kill().end()
    assert c.lines[1:] == ["flushed"] and c.rc == 0 and c.gone_at - c.signalled_at < 6, c.words()


def test_a_program_that_ends_by_itself(child, hub):
    c = child(
        hub
        + """
gs = graceshut.install(grace=6)
@gs.hook("flush")
def f(): time.sleep(0.05); print("flushed")
time.sleep(0.01)
print("main ends")
"""
    ).end()
    assert c.lines == ["main ends", "flushed"] and c.rc == 0 and c.report["outcome"] == "clean", c.words()


def test_pywsgi_with_the_middleware_alone(child):
    """Ended in SIGSEGV with a request in flight."""
    c = child(
        HUBS["gevent"]
        + """
import graceshut.wsgi, _socket
from gevent.pywsgi import WSGIServer
def app(environ, start):
    print("asked")
    time.sleep(0.5); start("200 OK", [("Content-Length", "3")]); return [b"ok\\n"]
server = WSGIServer(("127.0.0.1", 0), graceshut.wsgi.Middleware(app), log=None)
server.start()
def ask():
    answers.append(__import__("urllib.request").request.urlopen("http://127.0.0.1:%d" % server.server_port, timeout=9).status)
    print("answered", answers)
answers = []
gevent.joinall([spawn(ask)])
spawn(ask)
gevent.spawn_later(0.2, print, "ready")
server.serve_forever()
"""
    )
    c.ready().kill().end()
    assert c.lines.count("answered [200, 200]") == 1 and c.rc == 0, c.words()
