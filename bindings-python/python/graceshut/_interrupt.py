"""KeyboardInterrupt: what makes one of INT, and where it is swallowed."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import functools

from . import _graceshut

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: Who waits in the main thread for the stop or its end, and swallows the Ctrl-C that began it.
_waiting = 0
#: The main thread is ending.
_ending = False


def reset() -> None:
    global _ending
    _ending = False


def after_fork() -> None:
    """Another thread of the parent may have waited."""
    global _waiting
    _waiting = 0


def comes_by(handler: Any) -> bool:
    """Whether this makes a KeyboardInterrupt of INT: Python's own, ``asyncio.Runner``'s and trio's."""
    runners = isinstance(handler, functools.partial) and getattr(handler.func, "__name__", "") == "_on_sigint"
    return handler is _signal.default_int_handler or runners or str(getattr(handler, "__module__", "")).startswith("trio.")


def is_swallowed(handler: Any, ignored: bool) -> bool:
    """Whether that of ``handler`` is not raised now. ``ignored``: the configuration ignores INT."""
    if handler is _signal.default_int_handler:
        return bool(_waiting) or _ending or ignored
    # asyncio's and trio's would cancel the coroutine that waits.
    return bool(_waiting) and comes_by(handler)


def ending() -> None:
    """The main thread ends: nothing is raised in it any more."""
    global _ending
    _ending = True


class waiting:
    """While entered in the main thread, the KeyboardInterrupt of the shutdown's own SIGINT is swallowed.

    :meth:`saw_the_end` before leaving it: the thread goes on because the shutdown is over, and core, which asks later, is to take
    it for one that still waits (spec 6.6). Without it, how the program leaves would depend on which of the two is faster.
    """

    _until_the_end = False

    def __init__(self, for_the_end: bool = True) -> None:
        self._for_the_end = for_the_end

    def saw_the_end(self) -> None:
        self._until_the_end = True

    def __enter__(self) -> None:
        global _waiting
        _waiting += 1
        if self._for_the_end:
            _graceshut.set_waiting(True)

    def __exit__(self, *_: object) -> None:
        global _waiting
        _waiting -= 1
        if self._for_the_end:
            _graceshut.set_waiting(False, self._until_the_end)
