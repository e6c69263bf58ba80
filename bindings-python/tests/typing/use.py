"""How programs use the package, as mypy --strict and pyright see it; test_typing.py runs both over it. Never executed."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any, Optional

from typing_extensions import assert_type

import graceshut
from graceshut import Context, GraceShut, Hook, Reason

gs = graceshut.install(
    grace="25s", grace_normal=timedelta(seconds=5), already_spent=0.5, announce_delay=5, serving=True,
    signals={"TERM": "stop", 10: "reload", "PWR": {"action": "stop", "grace": "2s"}}, repeat="interactive", exit="host",
    exit_code_degraded=3, watchdog=True, max_workers=8, report=Path("report.json"), hold=True,
    phases={"cache": {"after": "drain", "cap": "20%"}}, hook=[{"phase": "flush", "exec": ["sync"]}], logging=False,
    after_fork="rearm",
)
assert_type(gs, GraceShut)
assert_type(graceshut.current(), Optional[GraceShut])


@gs.hook("drain", timeout=8)
def with_context(ctx: Context) -> int:
    assert_type(ctx.remaining, Optional[float])
    assert_type(ctx.deadline, Optional[float])
    assert_type(ctx.cancelled, bool)
    assert_type(ctx.abandoned, list[str])
    assert_type(ctx.extend("2s"), float)
    assert_type(ctx.reason, Reason)
    assert_type(ctx.reason.signal, Optional[str])
    ctx.log("half way")
    ctx.progress(1, 2)
    return 3


@gs.hook("flush", name="buffers", after=["a", "b"], optional=True, fork="inherit")
async def coroutine() -> str:
    return ""


# A decorated function stays what it was.
assert_type(with_context(Any), int)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
assert_type(gs.hook("close", with_context, timeout=timedelta(seconds=1)), Hook)
assert_type(gs.hook("close", coroutine).remove(), str)
assert_type(gs.exec_hook("final", ["sync"], env={"A": "b"}, timeout="2s", fork="inherit"), Hook)
assert_type(gs.http_hook("announce", "http://127.0.0.1:8500/leave", method="PUT", accept=[404]), Hook)
assert_type(gs.delay_hook("drain", 0.5), Hook)
assert_type(gs.wasm("flush", "flush.wasm", env=["HOME"], dirs={"/out": "/tmp:rw"}, http=["PUT 127.0.0.1:1"], memory="16MiB", timeout=2), Hook)
assert_type(gs.wasm("flush", Path("flush.wasm"), env={"A": "1"}, args=["-v"], clock=True, fuel=10**6, name="flush"), Hook)
assert_type(gs.inflight_hook("drain", "uploads"), Hook)
assert_type(gs.signal_hook("close", "TERM", pid=17, wait=True), Hook)


@gs.on_reload
def reload() -> None: ...


@gs.on_reload(name="config", fork="inherit")
async def reload_too() -> None: ...


def heard(event: dict[str, Any]) -> None: ...


gs.on_event(heard)


def work() -> None:
    with gs.track() as unit:
        assert_type(unit, graceshut.Track)
    with gs.track("uploads"), gs.group("uploads").track():
        pass
    if gs.enter():
        gs.leave()
    assert_type(gs.in_flight, int)
    assert_type(bool(gs.stopping), bool)
    assert_type(bool(gs.draining.wait(1)), bool)
    assert_type(gs.stopped.is_set(), bool)
    assert_type(gs.wait(timeout=3), int)
    assert_type(gs.report(), Optional[dict[str, Any]])
    assert_type(gs.state, str)
    assert_type(gs.reason, Optional[Reason])
    assert_type(gs.plan(), str)
    assert_type(gs.config(), dict[str, Any])
    assert_type(gs.rearm(), GraceShut)
    gs.stop("enough", grace="3s")
    gs.serving = True
    gs.uninstall()


async def async_work() -> None:
    async with gs.track():
        pass
    assert_type(await gs.stopping, bool)
    assert_type(await gs.stopped.wait(5), bool)


def tests() -> None:
    with graceshut.installed(grace=2) as other:
        assert_type(other, GraceShut)
    try:
        gs.stop()
    except graceshut.TooLate as error:
        assert_type(error.kind, str)
    except (graceshut.Draining, graceshut.Closed, ValueError):
        pass


# What is wrong is told before it runs: an ignore that is not needed is an error too.
graceshut.install(grace=object())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
graceshut.install(exit="never")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
graceshut.install(graze=3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
gs.hook("drain", 3)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
gs.hook("drain", fork="both")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
gs.no_such_method()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]


def serve(server: Any) -> None:
    one = gs.listener(server, server.close, lambda: None, name="api")
    assert_type(one, graceshut.Listener)
    assert_type(one.enter(), bool)
    assert_type(one.stopping, bool)
    one.leave()
    with one as same:
        assert_type(same, graceshut.Listener)
