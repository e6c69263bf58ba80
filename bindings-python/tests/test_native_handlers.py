"""Handlers that native code sets under Python's back, before install and after (spec 3.5; embedding B14, C24, E35)."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.needs("cc")

SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <unistd.h>
static void say(int s) { (void)s; if (write(1, "native\n", 7)) {} }
static int (*hand_on)(int);
static struct sigaction before;
static int puts_back;
static void hands_on(int s) {
    if (write(1, "native\n", 7)) {}
    hand_on(s);
    if (puts_back) sigaction(s, &before, 0);
}
/* Without chaining, as Go's signal.Notify. */
void take(int s) { struct sigaction a = {.sa_handler = say, .sa_flags = SA_ONSTACK | SA_RESTART}; sigaction(s, &a, 0); }
/* As JPype does for a JVM. */
void take_and_hand_on(int s) {
    hand_on = (int (*)(int))dlsym(RTLD_DEFAULT, "PyErr_SetInterruptEx");
    if (!hand_on) hand_on = (int (*)(int))dlsym(RTLD_DEFAULT, "PyErr_SetInterrupt"); /* CPython 3.9: for INT alone */
    struct sigaction a = {.sa_handler = hands_on, .sa_flags = SA_RESTART};
    sigaction(s, &a, &before);
}
void put_back_then(void) { puts_back = 1; }
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    def build(name):
        folder = tmp_path_factory.mktemp("native")
        source, library = folder / "native.c", folder / name
        source.write_text(SOURCE)
        subprocess.run(["cc", "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"], check=True, timeout=60)
        return str(library)

    return build


def test_one_that_was_there_before_install_is_called(child, library):
    """It was silently dropped: Python's table says SIG_DFL, since Python never knew."""
    c = child(
        f"""
        import ctypes
        ctypes.CDLL({library("native.so")!r}).take(15)
        gs = graceshut.install(grace=10)
        gs.hook("flush", lambda: print("flush"), name="f")
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        ready_once_waiting()
        sys.exit(gs.wait())
        """
    )
    c.ready().kill().end()
    assert c.rc == 0 and sorted(c.lines[1:]) == ["flush", "native"], c.words()


def test_one_that_python_replaces_is_gone_as_ever(child, library):
    c = child(
        f"""
        import ctypes
        native = ctypes.CDLL({library("native.so")!r})
        native.take(15)
        gs = graceshut.install(grace=10)
        gs.hook("flush", lambda: print("flush"), name="f")
        assert signal.signal(signal.SIGTERM, lambda signo, frame: print("python")) is signal.SIG_DFL
        ready_once_waiting()
        code = gs.wait()
        sys.exit(code)
        """
    )
    c.ready().kill().end()
    assert c.rc == 0 and sorted(c.lines[1:]) == ["flush", "python"], c.words()


def test_uninstall_gives_it_back(child, library):
    c = child(
        f"""
        import ctypes
        ctypes.CDLL({library("native.so")!r}).take(15)
        gs = graceshut.install(grace=10, exit="manual")
        gs.uninstall()
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        os.kill(os.getpid(), 15)
        time.sleep(0.05)
        print("alive")
        """
    ).end()
    assert c.rc == 0 and c.lines == ["native", "alive"], c.words()


def test_that_of_a_jvm_is_left_out_and_that_is_said(child, library):
    """Chained to it begins the JVM's own exit beside the plan (E35). The name is how a JVM is known."""
    c = child(
        f"""
        import ctypes
        ctypes.CDLL({library("libjvm.so")!r}).take(15)
        gs = graceshut.install(grace=10)
        gs.hook("flush", lambda: print("flush"), name="f")
        ready_once_waiting()
        sys.exit(gs.wait())
        """
    )
    c.ready().kill().end()
    assert c.rc == 0 and c.lines[1:] == ["flush"] and "libjvm.so is not called any more" in c.err, c.words()


@pytest.mark.parametrize("signo", [15, 2], ids=["TERM", "INT"])
def test_that_of_a_jvm_that_comes_later_is_left_out_too(child, library, signo):
    """For INT no KeyboardInterrupt comes either: the program does not stop by itself, and is not waited for."""
    c = child(
        f"""
        import ctypes
        gs = graceshut.install(grace=10)
        gs.hook("flush", lambda: print("flush"), name="f")
        gs.on_event(lambda e: print("ready") if e["event"] == "handler" else None)
        ctypes.CDLL({library("libjvm.so")!r}).take({signo})
        time.sleep(30)
        """
    )
    c.ready().kill(signo).end()
    assert c.rc == (0 if signo == 15 else -2) and c.lines[1:] == ["flush"] and c.gone_at - c.signalled_at < 5, c.words()


def test_other_native_code_that_comes_later_is_the_programs_own_stop(child, library):
    """gevent.signal_handler is one: its server was cut the moment the plan was over (spec 6.6)."""
    c = child(
        f"""
        import ctypes
        gs = graceshut.install(grace=3)
        gs.hook("flush", lambda: print("flush"), name="f")
        gs.on_event(lambda e: print("ready") if e["event"] == "handler" else None)
        ctypes.CDLL({library("native.so")!r}).take(15)
        time.sleep(30)
        """
    )
    c.ready().kill().end()
    assert c.rc == 1 and sorted(c.lines[1:]) == ["flush", "native"] and 2 < c.gone_at - c.signalled_at < 4, c.words()


@pytest.mark.parametrize("back", [False, True], ids=["stays", "is gone by then"])
def test_one_that_comes_later_and_hands_the_signal_on_to_python(child, library, back):
    """Core does not hear of it, and would not for up to 5 s: the signal was lost for good."""
    signo = 15 if sys.version_info >= (3, 10) else 2
    c = child(
        f"""
        import ctypes
        signal.signal({signo}, signal.SIG_DFL)
        gs = graceshut.install(grace=4)
        gs.hook("flush", lambda: print("flush"), name="f")
        native = ctypes.CDLL({library("native.so")!r})
        if {back}: native.put_back_then()
        native.take_and_hand_on({signo})
        print("ready")
        time.sleep(30)
        """
    )
    c.ready().kill(signo).end()
    # A handler that stays is the program's own, whose stop is cut at the deadline.
    clean = 0 if signo == 15 else -2
    assert c.rc == (clean if back else 1) and sorted(c.lines[1:]) == ["flush", "native"], c.words()
    assert c.report["reason"]["signal"] == ("TERM" if signo == 15 else "INT") and c.gone_at - c.signalled_at < 7


def test_the_hosts_own_last_steps_are_no_replacement(child):
    """CPython sets every handler back as it ends; core took that for other code, put ours there again and said so."""
    c = child(
        """
        import atexit, ctypes
        def late():
            ctypes.CDLL(None).signal(15, None)
            time.sleep(1.3)
            print("late", int(next(l for l in open("/proc/self/status") if l.startswith("SigCgt")).split()[1], 16) >> 14 & 1)
        atexit.register(late)   # before install: after graceshut's own
        gs = graceshut.install(grace=5, exit="manual")
        """
    ).end()
    assert c.lines == ["late 0"] and "replaced" not in c.err and c.rc == 0, c.words()
