"""The face, in this process, in manual mode."""

import asyncio
import threading
import time

import pytest

import graceshut


def test_flags_are_truths_and_events(manual):
    assert not manual.stopping and not manual.draining and not manual.stopped.is_set()
    assert not manual.stopping.wait(0.01)
    seen = []
    t = threading.Thread(target=lambda: seen.append(bool(manual.stopped.wait(10))))
    t.start()

    async def main():
        assert await manual.stopping.wait(0.01) is False
        with pytest.raises(RuntimeError, match="await"):
            bool(manual.stopping.wait())
        loop = asyncio.get_running_loop()
        loop.call_later(0.05, manual.stop, "x")
        began = time.monotonic()
        assert await manual.stopping.wait() is True
        assert await manual.stopped.wait(10) is True
        assert time.monotonic() - began < 0.9, "woken by the look once a second, not by the event"

    asyncio.run(main())
    t.join(10)
    assert seen == [True] and manual.wait(10) == 0
    report = manual.report()
    assert report["graceshut"] == 1 and report["reason"]["kind"] == "stop" and report["outcome"] == "clean"


def test_decorators_give_back_what_they_got(manual):
    @manual.hook("drain", timeout=1)
    def one(ctx):
        assert isinstance(ctx, graceshut.Context) and isinstance(ctx.reason, graceshut.Reason)

    class Two:
        def __call__(self, ctx):
            one.called = True

        async def method(self):
            await asyncio.sleep(0)
            one.method = True

    assert callable(one) and one.__name__ == "one"
    assert isinstance(manual.hook("drain", Two()), graceshut.Hook)
    manual.hook("flush", Two().method)
    manual.stop()
    assert manual.wait(10) == 0, manual.report()
    assert one.called and one.method
    names = [h["name"] for p in manual.report()["phases"] for h in p["hooks"]]
    assert "one" in names and "Two" in names and "method" in names


def test_a_callback_that_fails_loses_only_itself(manual, caplog):
    got = []
    manual.on_event(lambda e: 1 / 0)
    manual.on_event(lambda e: got.append(e["event"]))
    manual.stop()
    manual.wait(10)
    until = time.monotonic() + 10  # the last event comes beside the end of wait
    while "finished" not in got and time.monotonic() < until:
        time.sleep(0.01)
    assert "finished" in got and "an event callback failed" in caplog.text


def test_logging_can_be_off(caplog):
    caplog.set_level("DEBUG", "graceshut")
    with graceshut.install(exit="manual", report="none", grace=5, logging=False) as gs:
        gs.stop()
        gs.wait(10)
    assert not [r for r in caplog.records if r.name == "graceshut"]


def test_enter_and_leave_are_native_calls():
    import types

    assert isinstance(graceshut.GraceShut.enter, types.MethodDescriptorType)
    assert isinstance(graceshut.GraceShut.leave, types.MethodDescriptorType)
    assert isinstance(graceshut.Group.enter, types.MethodDescriptorType)
