"""The event loops that coroutine hooks run on and coroutines wait in: asyncio (uvloop is one of its loops) and trio.

anyio needs nothing of its own: it runs on one of the two.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from types import FrameType
    from typing import Any, Awaitable, Callable, Optional, Union

    Run = Callable[[], Awaitable[None]]
    Loop = Union["Asyncio", "Trio"]


#: The callbacks of asyncio's and uvloop's ``run_until_complete``.
_ENDS_THE_RUN = ("_run_until_complete_cb", "done_cb")


class Asyncio:
    """A running asyncio loop."""

    __slots__ = ("loop",)

    def __init__(self, loop: AbstractEventLoop) -> None:
        self.loop = loop

    def is_running(self) -> bool:
        return self.loop.is_running()

    def is_closed(self) -> bool:
        return self.loop.is_closed()

    def call(self, f: Callable[..., object], *args: Any) -> None:
        """Calls ``f`` in the loop's thread, soon. Any thread. RuntimeError once the loop is closed."""
        self.loop.call_soon_threadsafe(f, *args)

    def is_between_callbacks(self, frame: Optional[FrameType]) -> bool:
        """Whether ``frame``, of the loop's thread, is the loop's own code. False for loops that are not written in Python."""
        from asyncio import base_events, events

        while frame is not None and frame.f_code is not events.Handle._run.__code__:
            if frame.f_code is base_events.BaseEventLoop.run_forever.__code__:
                return True
            frame = frame.f_back
        return False

    def is_in_main_task(self) -> bool:
        """Whether this is the task that the loop runs for: ``run_until_complete`` has its callback on it."""
        from asyncio import current_task

        callbacks = getattr(current_task(), "_callbacks", None) or ()
        return any(getattr(one[0], "__name__", None) in _ENDS_THE_RUN for one in callbacks)

    def spawn(self, run: Run) -> Callable[[], None]:
        """In the loop's thread: starts a task; gives what cancels it from any thread."""
        from . import _tasks

        task = _tasks.spawn(self.loop, run())  # type: ignore[arg-type]
        return lambda: self.call(task.end)

    def is_held_open(self) -> None:
        """In the loop's thread: from now on its end waits for the hooks that are to run on it."""
        from . import _tasks

        _tasks.hold_open(self.loop)

    def drive(self) -> None:
        """In the loop's thread, after it was stopped: runs it until its hooks are over."""
        from . import _tasks

        _tasks.drive(self.loop)

    @staticmethod
    def cancelled_by() -> Optional[str]:
        """Who cancelled the hook that runs here, if that was the program."""
        import asyncio

        return getattr(asyncio.current_task(), "cancelled_by", None)

    async def wait(self, limit: float, add: Callable[[Callable[[], None]], Callable[[], None]]) -> None:
        """Waits until what it gave to ``add`` was called, at most ``limit`` seconds; calls what ``add`` gave back."""
        future = self.loop.create_future()

        def resolve() -> None:
            if not future.done():
                future.set_result(None)

        drop, timer = add(lambda: self.call(resolve)), self.loop.call_later(limit, resolve)
        try:
            await future
        finally:
            timer.cancel()
            drop()

    @staticmethod
    def run_own(run: Callable[[Loop, Callable[[], None]], Awaitable[None]]) -> None:
        """A loop of its own in this thread, until ``run`` is over."""
        import asyncio

        async def main() -> None:
            loop = Asyncio(asyncio.get_running_loop())
            task: Any = asyncio.current_task()
            await run(loop, lambda: loop.call(task.cancel))

        asyncio.run(main())


class Trio:
    """A trio run."""

    __slots__ = ("token",)

    def __init__(self, token: Any) -> None:
        self.token = token

    def is_running(self) -> bool:
        try:
            self.call(int)
        except RuntimeError:  # trio.RunFinishedError
            return False
        return True

    def is_closed(self) -> bool:
        return not self.is_running()

    def call(self, f: Callable[..., object], *args: Any) -> None:
        self.token.run_sync_soon(f, *args)

    @staticmethod
    def is_in_main_task() -> bool:
        from trio import lowlevel

        nursery = lowlevel.current_task().parent_nursery
        return nursery is not None and nursery.parent_task is lowlevel.current_root_task()

    def spawn(self, run: Run) -> Callable[[], None]:
        import trio

        scope = trio.CancelScope()

        async def task() -> None:
            with scope:
                await run()

        trio.lowlevel.spawn_system_task(task)
        return lambda: self.call(scope.cancel)

    async def wait(self, limit: float, add: Callable[[Callable[[], None]], Callable[[], None]]) -> None:
        import trio

        event = trio.Event()
        drop = add(lambda: self.call(event.set))
        try:
            with trio.move_on_after(limit):
                await event.wait()
        finally:
            drop()

    @staticmethod
    def run_own(run: Callable[[Loop, Callable[[], None]], Awaitable[None]]) -> None:
        import trio

        async def main() -> None:
            loop = Trio(trio.lowlevel.current_trio_token())
            with trio.CancelScope() as scope:
                await run(loop, lambda: loop.call(scope.cancel))

        trio.run(main)


def running() -> Optional[Loop]:
    """The loop that runs in this thread. Imports nothing: a program without a loop pays for none."""
    # Not there while another frame of this very thread still imports asyncio.
    look = getattr(sys.modules.get("asyncio"), "_get_running_loop", None)
    loop = look() if look is not None else None
    if loop is not None:
        return Asyncio(loop)
    token = getattr(getattr(sys.modules.get("trio"), "lowlevel", None), "current_trio_token", None)
    if token is not None:
        try:
            return Trio(token())
        except RuntimeError:
            pass  # no run in this thread
    return None


def is_one_beginning_or_ending() -> bool:
    """Whether an asyncio loop marks itself as running without being the running loop of this thread.

    uvloop calls into Python in these steps, and what is raised there leaves it marked so for good. Both kinds of loops name
    themselves in the thread's hooks for asynchronous generators, before the first such step and until after the last.
    """
    kind = getattr(sys.modules.get("asyncio"), "AbstractEventLoop", None)
    loop: Any = getattr(sys.get_asyncgen_hooks().firstiter, "__self__", None)
    return kind is not None and isinstance(loop, kind) and loop.is_running() and running() is None


def is_cancelled(error: BaseException) -> bool:
    """The loop's own word for a cancelled task, the hub's for a greenlet that was killed."""
    return any(
        c.__name__ in ("CancelledError", "GreenletExit") or c.__name__ == "Cancelled" and c.__module__.split(".")[0] == "trio"
        for c in type(error).__mro__
    )
