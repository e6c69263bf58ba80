"""Coroutine hooks as asyncio tasks that the program's own end does not take along.

Most asyncio services end by "cancel every task, then leave": they cancel ``asyncio.all_tasks()``, stop the loop, or let ``main``
return, upon which ``asyncio.run`` cancels all tasks and closes the loop. A hook must outlive that (spec 4.1: its phase comes
when it comes). So the tasks of hooks, and those that hooks make, are left out of ``all_tasks``, and the loop's end waits for
the coroutine hooks that are still to run on it, for as long as the plan gives them.

Imported only when a hook runs on an asyncio loop.
"""

from __future__ import annotations

import asyncio
import sys

from . import _graceshut, _hooks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Coroutine, Optional

#: How often a loop that is to end looks whether the hooks are over.
_TICK = 0.01


class HookTask(asyncio.Task):  # type: ignore[type-arg]
    """A task that ``asyncio.all_tasks`` does not show, and that knows who cancelled it."""

    #: Where `cancel` was called, for people.
    cancelled_by: Optional[str] = None

    def __init__(self, coro: Any, **options: Any) -> None:
        super().__init__(coro, **options)
        # No more than this is asked of a loop's end: it says nothing about a hook that its deadline has left behind.
        self._log_destroy_pending = False
        unregister = getattr(asyncio.tasks, "_unregister_task", None)
        if unregister is not None:
            unregister(self)

    def cancel(self, *args: Any, **options: Any) -> bool:
        frame = sys._getframe(1)
        code = frame.f_code
        self.cancelled_by = "%s (%s:%d)" % (code.co_name, code.co_filename, frame.f_lineno)
        return super().cancel(*args, **options)

    def end(self) -> None:
        """Its soft deadline: graceshut cancels it."""
        super().cancel()


def spawn(loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, None]) -> HookTask:
    """In the loop's thread."""
    hold_open(loop)
    return HookTask(coro, loop=loop)


class _Factory:
    """What a hook makes is part of it."""

    def __init__(self, before: Optional[Callable[..., Any]]) -> None:
        self._before = before

    def __call__(self, loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> Any:
        if _hooks.inside():
            return HookTask(coro, loop=loop, **options)
        if self._before is not None:
            return self._before(loop, coro, **options)
        return asyncio.Task(coro, loop=loop, **options)


def hold_open(loop: asyncio.AbstractEventLoop) -> None:
    """From now on the loop's end waits for the hooks. In the loop's thread; more than once does no harm."""
    if isinstance(loop.get_task_factory(), _Factory):
        return
    loop.set_task_factory(_Factory(loop.get_task_factory()))
    close, shutdown_asyncgens = loop.close, loop.shutdown_asyncgens

    def waits_and_closes() -> None:
        if not loop.is_running() and not loop.is_closed() and _hooks.hold(loop):
            loop.run_until_complete(until_over(loop))
        close()

    async def waits_and_shuts_down() -> None:
        await until_over(loop)
        await shutdown_asyncgens()

    try:
        # The first thing that asyncio.run does after it has cancelled every task; all still works then.
        loop.shutdown_asyncgens = waits_and_shuts_down  # type: ignore[method-assign]
        loop.close = waits_and_closes  # type: ignore[method-assign]
    except AttributeError:
        pass  # a loop that takes no attributes: its hooks are cut off by its end, and say so


async def until_over(loop: asyncio.AbstractEventLoop) -> None:
    """Waits until no hook is to run on this loop any more, or the plan is over."""
    in_main = _graceshut.in_main_thread()
    if in_main:
        # On its way out by itself: it is given a moment after the plan before it is made to leave.
        _graceshut.set_loop_ends(True)
    try:
        while _hooks.hold(loop):
            await asyncio.sleep(_TICK)
    finally:
        if in_main:
            _graceshut.set_loop_ends(False)


def drive(loop: asyncio.AbstractEventLoop) -> None:
    """Runs a loop that was stopped but not closed until its hooks are over. In the thread that ran it."""
    loop.run_until_complete(until_over(loop))
