"""Spec 6.6: a program that handles the signal itself may leave by itself until the deadline, and is only then made to."""

import signal
import textwrap
import time

import pytest

import graceshut

#: Each stops by itself, a second and a half after the signal, and says so.
STOPS = {
    "asyncio": """
import asyncio
async def main():
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
    print("ready")
    await told.wait()
    await asyncio.sleep(1.5)
asyncio.run(main())
print("stopped by itself")
""",
    "before install": """
print("ready")
while not told: time.sleep(0.05)
time.sleep(1.5)
print("stopped by itself")
""",
    "an exception": """
class Stop(Exception): pass
def handler(signo, frame): raise Stop
signal.signal(signal.SIGTERM, handler)
try:
    print("ready")
    time.sleep(30)
except Stop: time.sleep(1.5)
print("stopped by itself")
""",
    "taken away": """
told = []
def handler(signo, frame):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    told.append(time.monotonic())
signal.signal(signal.SIGTERM, handler)
@gs.hook("drain")
def slow():
    while not told: time.sleep(0.01)
    time.sleep(0.2)
print("ready")
while not told: time.sleep(0.1)
time.sleep(1.5)
print("stopped by itself")
""",
    "KeyboardInterrupt": """
try:
    print("ready")
    time.sleep(30)
except KeyboardInterrupt: time.sleep(1.5)
print("stopped by itself")
""",
}
INSTALL = """
gs = graceshut.install(grace=9)
gs.hook("flush", lambda: print("flushed"), name="f")
"""


@pytest.mark.parametrize("how", STOPS)
def test_a_program_that_stops_by_itself_is_not_cut(child, how):
    earlier = "told = []; signal.signal(signal.SIGTERM, lambda signo, frame: told.append(signo))" if how == "before install" else ""
    c = child(earlier + INSTALL + STOPS[how])
    c.ready().kill(signal.SIGINT if how == "KeyboardInterrupt" else signal.SIGTERM).end()
    assert c.lines[1:] == ["flushed", "stopped by itself"] and c.rc == 0, c.words()
    assert 1.4 < c.gone_at - c.signalled_at < 6 and c.report["outcome"] == "clean"


@pytest.mark.parametrize("plan, own", [(0.6, 0.05), (0.05, 0.6)], ids=["before the plan", "after it"])
@pytest.mark.parametrize("how", ["handler", "KeyboardInterrupt"])
def test_an_interrupt_that_the_program_handles_does_not_kill_it(child, how, plan, own):
    stops = {
        "handler": """
            told = []
            signal.signal(signal.SIGINT, lambda signo, frame: told.append(signo))
            print("ready")
            while not told: time.sleep(0.01)
        """,
        "KeyboardInterrupt": """
            try:
                print("ready")
                time.sleep(30)
            except KeyboardInterrupt: pass
        """,
    }
    install = "gs = graceshut.install(grace=9)\ngs.hook('flush', lambda: time.sleep(%r), name='f')\n" % plan
    c = child(install + textwrap.dedent(stops[how]) + "time.sleep(%r)\n" % own)
    c.ready().kill(signal.SIGINT).end()
    assert c.rc == 0 and c.report["exit_code"] == 0 and c.outcomes() == {"f": "ok"}, c.words()


def test_at_the_deadline_it_is_made_to(child):
    c = child(
        """
        gs = graceshut.install(grace=2)
        signal.signal(signal.SIGTERM, lambda signo, frame: print("told"))
        print("ready")
        try: time.sleep(30)
        finally: print("finally")
        """,
        env={"GRACESHUT_WATCHDOG": "0"},  # it leaves 30 ms from D on, on a busy machine too few for the rest
    )
    c.ready().kill().end()
    assert c.lines[1:] == ["told", "finally"] and c.rc == 1, c.words()
    assert 1.5 < c.gone_at - c.signalled_at < 4, c.report
    assert (c.report["outcome"], c.report["leave"]["how"]) == ("degraded", "made_to"), c.report


SWALLOWS = {
    "pytest": """
def case(): print("ready"); time.sleep(0.5)
while True:
    try: case()
    except BaseException as error: print("failed", type(error).__name__)
""",
    "a thread's loop": """
def loop():
    while True: time.sleep(0.05)
threading.Thread(target=loop).start()
print("ready")
""",
}


@pytest.mark.parametrize("how", SWALLOWS)
def test_a_program_that_goes_on_is_not_clean(child, how):
    """pytest, unittest and wsgiref take SystemExit for a failure of what they run. A test run that was cut off ended with 0."""
    c = child("gs = graceshut.install(grace=5)\ngs.hook('flush', lambda: None, name='f')\n" + SWALLOWS[how])
    c.ready().kill().end()
    assert c.gone_at - c.signalled_at < 7, c.words()
    swallowed = how == "pytest"
    assert c.rc == (1 if swallowed else 0) and c.lines.count("failed SystemExit") <= 2 * swallowed, c.words()
    found = c.report["outcome"], c.report["exit_code"], c.report["leave"]["how"]
    assert found == (("degraded", 1, "made_to") if swallowed else ("clean", 0, "at_once")), c.report


NEVER_LEAVES = """
gs = graceshut.install(grace=30)
gs.hook("flush", lambda: print("flushed"), name="f")
def handler(signo, frame): {handler}
signal.signal(signal.SIGTERM, handler)
print("ready")
while True: time.sleep(0.05)
"""


@pytest.mark.parametrize("how", ["asyncio", "before install", "taken away"])
def test_a_second_signal_is_the_programs_alone(child, how):
    earlier = "told = []; signal.signal(signal.SIGTERM, lambda signo, frame: told.append(signo))" if how == "before install" else ""
    c = child(earlier + INSTALL + STOPS[how])
    c.ready().kill().read_until("flushed")
    time.sleep(0.7)  # later than a duplicate (spec 7.1)
    c.kill().end()
    assert c.lines[1:] == ["flushed", "stopped by itself"] and c.rc == 0, c.words()
    assert (c.report["outcome"], c.report["leave"]["how"]) == ("clean", "by_itself"), c.report


def test_the_third_signal_leaves_at_once(child):
    c = child(NEVER_LEAVES.format(handler="pass"))
    c.ready().kill().read_until("flushed")
    for _ in range(2):
        time.sleep(0.7)
        c.kill()
    c.end()
    assert c.rc == 1 and c.gone_at - c.signalled_at < 5, c.words()


def test_its_own_re_raise_is_no_cut(child):
    again = "threading.Timer(1, os.kill, (os.getpid(), signal.SIGTERM)).start() if not told else None; told.append(signo)"
    c = child("import os, threading; told = []" + NEVER_LEAVES.format(handler=again))
    c.ready().kill().end()
    assert c.rc == 0 and 0.9 < c.gone_at - c.signalled_at < 6, c.words()
    assert (c.report["outcome"], c.report["leave"]["how"]) == ("clean", "by_itself"), c.report


def test_a_keyboard_interrupt_of_its_own_is_the_programs(child):
    """uvicorn raises INT again when its stop is over, and catches the KeyboardInterrupt: it ended by INT instead of 0."""
    c = child(
        """
        gs = graceshut.install(grace=9)
        gs.hook("flush", lambda: time.sleep(0.3), name="f")
        caught = []
        before = signal.signal(signal.SIGINT, lambda signo, frame: caught.append(signo))
        print("ready")
        while not caught: time.sleep(0.01)
        time.sleep(0.6)
        signal.signal(signal.SIGINT, before)
        try: signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt: print("interrupted")
        time.sleep(0.5)
        print("what follows")
        """
    )
    c.ready().kill(signal.SIGINT).end()
    assert c.lines[1:] == ["interrupted", "what follows"] and c.rc == 0, c.words()
    assert c.report["leave"]["how"] == "by_itself", c.report


@pytest.mark.parametrize("how", ["wait", "stopped", "at_once"])
def test_who_waits_leaves_at_once(child, how):
    last = {"wait": "sys.exit(gs.wait())", "stopped": "import asyncio; asyncio.run(stopped())", "at_once": "time.sleep(30)"}[how]
    c = child(
        f"""
        gs = graceshut.install(grace=9, leave={"at_once" if how == "at_once" else "auto"!r})
        signal.signal(signal.SIGTERM, lambda signo, frame: print("told"))
        async def stopped(): await gs.stopped
        ready_once_waiting() if {how != "at_once"} else print("ready")
        {last}
        """
    )
    c.ready().kill().end()
    assert c.lines[1:] == ["told"] and c.rc == 0 and c.gone_at - c.signalled_at < 4, c.words()


def test_a_word_that_is_none_of_the_three():
    with pytest.raises(graceshut.BadConfig, match="by_itself"):
        graceshut.install(leave="later", report="none", exit="manual")
