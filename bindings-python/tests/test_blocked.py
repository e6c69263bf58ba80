"""Spec 3.8: a stop signal that the program blocks after ``install``, for a critical section, does not cut it."""

import signal

import pytest

#: Each blocks TERM in the main thread, after install.
BLOCK = "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})"
UNBLOCK = "signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})"
#: One transaction, which is longer than the plan.
SECTION = f"""
gs = graceshut.install(grace=8)
gs.hook("flush", lambda: print("flushed"), name="f")
{BLOCK}
print("ready")
begun = time.monotonic()
while time.monotonic() < begun + 1.5: time.sleep(0.05)
print("transaction done")
"""


def test_a_critical_section_is_not_cut(child):
    c = child(SECTION + UNBLOCK + '\ntime.sleep(5)\nprint("still there")')
    c.ready().kill().end()
    assert c.lines[1:] == ["flushed", "transaction done"] and c.rc == 0, c.words()
    # Nothing in the program would stop it afterwards: graceshut does, at once.
    assert 1.4 < c.gone_at - c.signalled_at < 3 and c.report["outcome"] == "clean"
    assert [t["kind"] for t in c.report["triggers"]] == ["signal"]


@pytest.mark.parametrize("when", ["before install", "after install"])
def test_the_programs_own_handler_hears_of_it_afterwards(child, when):
    handler = 'told = []\nsignal.signal(signal.SIGTERM, lambda signo, frame: (told.append(signo), print("told")))\n'
    rest = f"""
{UNBLOCK}
until = time.monotonic() + 5
while not told and time.monotonic() < until: time.sleep(0.05)
time.sleep(0.7)
print("stopped by itself")
sys.exit(3)
"""
    before, after = (handler, "") if when == "before install" else ("", handler)
    c = child(before + SECTION.replace(BLOCK, after + BLOCK) + rest)
    c.ready().kill().end()
    assert c.lines[1:] == ["flushed", "transaction done", "told", "stopped by itself"] and c.rc == 3, c.words()
    assert c.report["leave"]["how"] == "by_itself", c.report


def test_a_section_that_is_over_before_the_plan(child):
    c = child(
        f"""
        gs = graceshut.install(grace=8)
        @gs.hook("flush")
        def slow(): time.sleep(1)
        {BLOCK}
        print("ready")
        begun = time.monotonic()
        while time.monotonic() < begun + 0.4: time.sleep(0.05)
        {UNBLOCK}
        time.sleep(5)
        print("still there")
        """
    )
    c.ready().kill().end()
    assert c.lines == ["ready"] and c.rc == 0 and 0.9 < c.gone_at - c.signalled_at < 2.5, c.words()


def test_a_thread_in_sigwait_hears_of_it(child):
    c = child(
        f"""
        gs = graceshut.install(grace=8)
        gs.hook("flush", lambda: print("flushed"), name="f")
        {BLOCK}
        over = threading.Event()
        def take():
            print("ready")
            signal.sigwait({{signal.SIGTERM}})
            time.sleep(1)
            print("stopped by itself")
            over.set()
        threading.Thread(target=take).start()
        over.wait()
        sys.exit(5)
        """
    )
    c.ready().kill().end()
    assert sorted(c.lines[1:]) == ["flushed", "stopped by itself"] and c.rc == 5, c.words()
