"""Spec 13: every bad input gives a typed error whose words name the culprit."""

import datetime
import enum
import math

import pytest

import graceshut


def refuse(kind, words, f, builtin=None):
    with pytest.raises(graceshut.Error) as info:
        f()
    error = info.value
    assert error.kind == kind, (error.kind, error)
    assert words in str(error), str(error)
    if builtin is not None:
        assert isinstance(error, builtin)


BAD_TIMES = [-1, -0.5, math.nan, math.inf, -math.inf, 1e300, 10**400, -(10**400), "soon", "10", "", True, [1]]


@pytest.mark.parametrize("bad", BAD_TIMES, ids=lambda b: repr(b)[:12])
def test_times_everywhere(manual, bad):
    refuse("bad_time", "grace", lambda: graceshut.install(grace=bad), ValueError)
    refuse("bad_time", "timeout", lambda: manual.hook("drain", print, timeout=bad), ValueError)
    refuse("bad_time", "grace", lambda: manual.stop("x", grace=bad))
    refuse("bad_time", "timeout", lambda: manual.wait(timeout=bad))
    refuse("bad_time", "delay", lambda: manual.delay_hook("drain", bad))
    refuse("bad_time", "reserve", lambda: graceshut.install(phases={"flush": {"reserve": bad}}))
    assert manual.state == "armed"


def test_a_zero_timeout_and_a_short_grace(manual):
    refuse("bad_time", "timeout", lambda: manual.hook("drain", print, timeout=0))
    refuse("bad_time", "grace", lambda: manual.stop("x", grace=0.01))
    refuse("bad_time", "grace", lambda: manual.stop("x", grace=datetime.timedelta(days=9999)))


def test_phases_and_names(manual):
    refuse("unknown_phase", 'did you mean "drain"', lambda: manual.hook("drian", print), LookupError)
    refuse("unknown_phase", "nope", lambda: manual.exec_hook("nope", ["true"]))
    refuse("null", "phase", lambda: manual.hook(None, print), TypeError)
    refuse("bad_value", "phase", lambda: manual.hook(7, print))
    refuse("bad_value", "phase", lambda: manual.hook(b"drain", print))
    refuse("not_utf8", "phase", lambda: manual.hook("dr\udcffain", print), UnicodeError)
    refuse("not_utf8", "name", lambda: manual.hook("drain", print, name="\ud800"))
    refuse("not_utf8", "reason", lambda: manual.stop("\udcff"))
    refuse("not_utf8", "name", lambda: manual.group("\udcff"))
    refuse("null", "name", lambda: manual.group(None))
    refuse("bad_config", "name", lambda: manual.hook("drain", print, name=""))
    refuse("bad_value", "name", lambda: manual.hook("drain", print, name="x" * 300))
    refuse("bad_config", "after", lambda: manual.hook("drain", print, after=[7]))
    manual.hook("drain", print, name="a", after="b")
    refuse("cycle", "b", lambda: manual.hook("drain", print, name="b", after="a"), ValueError)


def test_functions(manual):
    refuse("bad_value", "function", lambda: manual.hook("drain", 7))
    refuse("bad_value", "2 arguments", lambda: manual.hook("drain", lambda a, b: None))
    refuse("null", "function", lambda: manual.hook("drain")(None))
    refuse("null", "function", lambda: manual.on_event(None))
    refuse("bad_value", "function", lambda: manual.on_reload(7))


def test_declared_hooks(manual):
    refuse("bad_config", "exec", lambda: manual.exec_hook("drain", []))
    refuse("null", "exec", lambda: manual.exec_hook("drain", None))
    refuse("bad_config", "exec", lambda: manual.exec_hook("drain", "a string"))
    refuse("bad_config", "url", lambda: manual.http_hook("drain", "localhost"))
    refuse("unsupported", "TLS", lambda: manual.http_hook("drain", "https://localhost/"), NotImplementedError)
    refuse("bad_config", "pid", lambda: manual.signal_hook("drain", "TERM"))
    refuse("bad_config", "TERM", lambda: manual.signal_hook("drain", "TREM", pid=1))
    with pytest.raises(TypeError, match="tiemout"):
        manual.exec_hook("drain", ["true"], tiemout=3)


def test_install(tmp_path, monkeypatch):
    refuse("bad_config", 'did you mean "grace"', lambda: graceshut.install(grcae=5))
    refuse("bad_config", "exit", lambda: graceshut.install(exit="hard"), ValueError)
    refuse("bad_config", "signals", lambda: graceshut.install(signals={"TREM": "stop"}))
    refuse("bad_config", "KILL", lambda: graceshut.install(signals={9: "stop"}))
    refuse("bad_value", "phases.flush", lambda: graceshut.install(phases={"flush": {"reserve": object()}}))
    refuse("bad_value", "bytes", lambda: graceshut.install(report=b"x"))
    refuse("not_utf8", "report", lambda: graceshut.install(report="\udcff/x"))
    refuse("bad_config", "max_workers", lambda: graceshut.install(max_workers=0))
    refuse("bad_time", "grace", lambda: graceshut.install(grace=0.1))
    refuse("plan_does_not_fit", "flush", lambda: graceshut.install(
        grace=1, phases={"flush": {"reserve": "700ms"}, "close": {"reserve": "700ms"}}), ValueError)
    refuse("bad_plan", "warm", lambda: graceshut.install(phases={"warm": {"after": "warm"}}))
    circle: list = []
    circle.append(circle)
    refuse("bad_value", "nested", lambda: graceshut.install(hook=circle))
    (tmp_path / "graceshut.toml").write_text("grcae = '10s'\n")
    monkeypatch.chdir(tmp_path)
    refuse("bad_config", "grcae", graceshut.install)
    (tmp_path / "graceshut.toml").write_text("grace = '10x'\n")
    refuse("bad_time", "graceshut.toml", graceshut.install)
    (tmp_path / "graceshut.toml").write_text("grace = \n")
    refuse("bad_config", "graceshut.toml", graceshut.install)
    (tmp_path / "graceshut.toml").unlink()
    monkeypatch.setenv("GRACESHUT_GRACE", "10 apples")
    refuse("bad_time", "GRACESHUT_GRACE", graceshut.install)
    assert graceshut.current() is None
    import signal

    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_two_installs(manual):
    assert graceshut.install(exit="manual", report="none", grace="5s") is manual
    assert graceshut.install(exit="manual", report="none", grace=datetime.timedelta(seconds=5)) is manual
    refuse("disagree", "grace", lambda: graceshut.install(exit="manual", report="none", grace=6), RuntimeError)
    assert graceshut.current() is manual


def test_use_after_close():
    gs = graceshut.install(exit="manual", report="none", grace=5)
    handle = gs.hook("drain", print)
    gs.uninstall()
    for call in (
        gs.wait, gs.stop, gs.ready, gs.reload, gs.uninstall, gs.plan, handle.remove,
        lambda: gs.hook("drain", print), lambda: gs.exec_hook("drain", ["true"]), lambda: gs.on_event(print),
        lambda: gs.on_reload(print), lambda: gs.stopping.wait(1), lambda: gs.group("g"), lambda: setattr(gs, "serving", True),
    ):
        refuse("closed", "install again", call, RuntimeError)
    assert gs.state == "idle" and gs.report() is None and graceshut.current() is None
    assert "idle" in gs.status() and gs.enter() in (True, False)
    gs.leave()
    with graceshut.install(exit="manual", report="none", grace=5) as again:
        assert again is not gs and again.state == "armed"
    assert graceshut.current() is None


def test_wait_too_short_and_too_late(manual):
    refuse("timeout", "not over", lambda: manual.wait(timeout=0.05), TimeoutError)
    manual.hook("flush", lambda: None, name="f")
    manual.stop("test")
    assert manual.wait(timeout=10) == 0
    refuse("too_late", "", lambda: manual.hook("drain", print), RuntimeError)


def test_good_values_of_every_kind():
    class Word(str, enum.Enum):
        IGNORE = "ignore"

    import pathlib
    import signal

    with graceshut.install(
        exit="manual", grace=datetime.timedelta(seconds=3), announce_delay="auto", grace_normal="none", report="none",
        signals={signal.SIGHUP: Word.IGNORE, "USR1": {"action": "stop", "grace": 2.5}}, hold=False, watchdog=True, repeat=None,
        phases={"flush": {"reserve": "20%"}, "warm": {"before": "drain", "cap": 0.5}},
        hook=[{"phase": "close", "delay": 0.01, "name": "nap"}],
    ) as gs:
        assert gs.config()["grace"] == {"value": gs.config()["grace"]["value"], "origin": "code"}
        assert "warm" in gs.plan() and "armed" in gs.status()
        gs.serving = True
        assert gs.serving
    with graceshut.install(exit="manual", grace=3, report=pathlib.Path("/dev/null")):
        pass
