"""Spec 2.1, 2.5: a TERM that comes while something is being put in place or taken away is acted on, whatever the instant."""

import pytest

#: In a child of its own: a TERM at the n-th line that graceshut executes inside `call`.
AT_LINE = """
        import concurrent.futures.thread, logging, random, graceshut._runtime
        def at_line(n, call):
            count = 0
            def trace(frame, event, arg):
                nonlocal count
                if "/graceshut/" not in frame.f_code.co_filename: return None
                if event == "line":
                    count += 1
                    if count == n: os.kill(os.getpid(), signal.SIGTERM)
                return trace
            sys.settrace(trace)
            try: call()
            finally: sys.settrace(None)
            return count
        def rounds(numbers, one, delay=None):
            results, living = {}, {}
            def collect():
                pid, status = os.wait()
                results[living.pop(pid)] = os.waitstatus_to_exitcode(status)
            for n in numbers:
                pid = os.fork()
                if pid == 0:
                    one(n)
                    time.sleep(9)
                    os._exit(99)
                living[pid] = n
                if delay is not None:
                    time.sleep(random.random() * delay)
                    os.kill(pid, signal.SIGTERM)
                if len(living) == 8: collect()
            while living: collect()
            return [results[n] for n in numbers]
"""


def ends(c) -> list[int]:
    c.end(150)
    assert c.rc == 0, c.words()
    line = next(line for line in c.lines if line.startswith("ends "))
    return [int(word) for word in line.split()[1:]]


def test_at_any_line_of_install(child):
    c = child(
        AT_LINE
        + """
        def install(): graceshut.install(grace=10, report="none")
        def one(n):
            if at_line(n, install) < n: os._exit(77)
        print("ends", *rounds(range(1, 330), one))
        """
    )
    found = ends(c)
    lines = [code for code in found if code != 77]
    assert 50 < len(lines) < len(found), found
    # Up to some line as without graceshut, from there on the shutdown.
    first = lines.index(0)
    assert lines == [-15] * first + [0] * (len(lines) - first), lines


def test_at_any_line_of_uninstall(child):
    c = child(
        AT_LINE
        + """
        def one(n):
            gs = graceshut.install(grace=10, report="none", exit="manual")
            acted = []
            gs.hook("flush", lambda: acted.append(True), name="f")
            try: lines = at_line(n, gs.uninstall)
            except graceshut.TooLate: os._exit(0)     # it came first, and the shutdown runs
            if acted: os._exit(0)                     # or is over
            if lines < n: os._exit(77)
        print("ends", *rounds(range(1, 90), one))
        """
    )
    found = ends(c)
    lines = [code for code in found if code != 77]
    assert 20 < len(lines) < len(found) and set(lines) <= {0, -15}, found


def test_at_any_line_of_rearming(child):
    c = child(
        AT_LINE
        + """
        gs = graceshut.install(grace=10, report="none", after_fork="rearm")
        def one(n):
            # The trace goes along into the child of this child, where the lines count from 1 again.
            count = 0
            def trace(frame, event, arg):
                nonlocal count
                if "/graceshut/" not in frame.f_code.co_filename: return None
                if event == "line" and os.getpid() != me:
                    count += 1
                    if count == n: os.kill(os.getpid(), signal.SIGTERM)
                return trace
            me = os.getpid()
            sys.settrace(trace)
            pid = os.fork()
            sys.settrace(None)
            if pid == 0:
                if count < n: os._exit(77)
                return
            code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            os._exit(15 if code == -15 else code)
        print("ends", *rounds(range(1, 330), one))
        gs.stop(); gs.wait()
        """
    )
    found = ends(c)
    lines = [code for code in found if code != 77]
    assert 50 < len(lines) < len(found) and set(lines) == {0}, found


@pytest.mark.parametrize("policy", ["install", "rearm"])
def test_at_any_time(child, policy):
    """Also between two lines."""
    c = child(
        AT_LINE
        + f"""
        policy = {policy!r}
        def install(): return graceshut.install(grace=10, report="none", after_fork="rearm")
        install().uninstall()
        began = time.monotonic(); gs = install(); took = time.monotonic() - began
        if policy == "install": gs.uninstall()
        print("ends", *rounds(range(200), lambda n: policy == "rearm" or install(), delay=3 * took + 0.003))
        if policy == "rearm": gs.uninstall()
        """
    )
    found = ends(c)
    print(found.count(0), "shut down,", found.count(-15), "died before")
    # A child that is re-armed by policy is never without a handler.
    assert len(found) == 200 and set(found) <= ({0, -15} if policy == "install" else {0}) and 0 in found, found


@pytest.mark.parametrize("how", ["os.fork", "multiprocessing"])
def test_in_somebody_elses_step_after_fork(child, how):
    """What is raised there is written to stderr and forgotten; before multiprocessing's own part it unwinds the parent's stack."""
    c = child(
        f"""
        import multiprocessing
        gs = graceshut.install(grace=10, report="none", after_fork="rearm")
        gs.hook("flush", lambda: print("flushed", os.getpid() == parent), name="f", fork="inherit")
        parent = os.getpid()
        def slow():
            os.kill(os.getpid(), signal.SIGTERM)
            until = time.monotonic() + 0.5
            while time.monotonic() < until: time.sleep(0.01)
        os.register_at_fork(after_in_child=slow)
        try:
            if {how!r} == "os.fork":
                pid = os.fork()
                if pid == 0: parent = None; time.sleep(9); os._exit(99)
                print("child", os.waitstatus_to_exitcode(os.wait()[1]))
            else:
                p = multiprocessing.get_context("fork").Process(target=time.sleep, args=(9,)); p.start(); p.join(20)
                print("child", p.exitcode)
        finally:
            print("unwound", os.getpid() == parent)
        """
    ).end()
    assert c.rc == 0 and "ignored" not in c.err and "Traceback" not in c.err, c.words()
    child_unwinds = ["unwound False"] if how == "os.fork" else []
    assert c.lines == ["flushed False", *child_unwinds, "child 0", "unwound True", "flushed True"], c.words()
