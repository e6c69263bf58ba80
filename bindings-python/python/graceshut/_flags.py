"""``gs.stopping``, ``gs.draining``, ``gs.stopped``: plain truth values that can be waited for."""

from __future__ import annotations

from . import _graceshut, _hooks, _hubs, _interrupt, _leaving, _signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Generator, Optional

    from ._runtime import GraceShut

#: The word is looked at at least this often, should an event be lost.
_LOOK = 1.0
#: A blocking wait looks at Python's own signal handlers at least this often.
_SLICE = 5.0
#: The level of ``gs.stopped``.
_STOPPED = 3


class Waited:
    """What ``wait`` gives: await it inside an event loop; elsewhere it has waited, and its truth says whether it came."""

    __slots__ = ("_flag", "_limit", "_value")

    def __init__(self, flag: Flag, limit: Optional[float], value: Optional[bool]) -> None:
        self._flag, self._limit, self._value = flag, limit, value

    def __bool__(self) -> bool:
        if self._value is None:
            raise RuntimeError("inside an event loop write `await gs.%s.wait()`" % self._flag.name)
        return self._value

    def __await__(self) -> Generator[Any, None, bool]:
        if self._value is None:
            self._value = yield from self._flag._wait_async(self._limit).__await__()
        return self._value

    def __repr__(self) -> str:
        return "<graceshut wait for %s: %s>" % (self._flag.name, self._value)


class Flag:
    """True from a point of the shutdown on."""

    __slots__ = ("_gs", "_level", "name")

    def __init__(self, gs: GraceShut, level: int, name: str) -> None:
        self._gs, self._level = gs, level
        self.name: str = name

    def __bool__(self) -> bool:
        return self._gs._level >= self._level

    def is_set(self) -> bool:
        """As ``bool()``, for those who know ``threading.Event``."""
        return bool(self)

    def wait(self, timeout: Any = None) -> Waited:
        """Waits until the flag is true, at most ``timeout`` seconds. Inside an event loop: ``await`` it."""
        limit = self._gs._seconds(timeout, "timeout")
        if _hooks.note_loop() is not None:
            return Waited(self, limit, None)
        return Waited(self, limit, self._wait_here(limit))

    def _wait_here(self, limit: Optional[float]) -> bool:
        import time

        gs, until = self._gs, None if limit is None else time.monotonic() + limit
        ends, hub = self._level == _STOPPED, _hubs.here()
        swallow = _interrupt.waiting(ends) if _signals.in_main() else None
        if swallow is not None and hub is None and not ends:
            _graceshut.set_stops_by_itself()
        if swallow is not None:
            swallow.__enter__()
        try:
            while True:
                left = _SLICE if until is None else min(_SLICE, until - time.monotonic())
                if hub is not None and not self and left > 0:
                    # The others of this thread run meanwhile.
                    hub.wait(min(left, _LOOK), self._add)
                if gs._wait_level(self._level, max(left, 0.0) if hub is None else 0.0):
                    if swallow is not None and ends:
                        swallow.saw_the_end()
                        if hub is None:
                            _leaving.by_itself()
                    return True
                if until is not None and time.monotonic() >= until:
                    return False
        finally:
            if swallow is not None:
                swallow.__exit__()

    def __await__(self) -> Generator[Any, None, bool]:
        """``await gs.stopping``: as ``await gs.stopping.wait()``."""
        return self._wait_async(None).__await__()

    async def _wait_async(self, limit: Optional[float], of_program: bool = True) -> bool:
        """``of_program``: who waits in the main thread leaves afterwards. False for an adapter that waits beside the program."""
        import time

        gs, loop = self._gs, _hooks.note_loop()
        if loop is None:
            raise RuntimeError("awaited in no loop that graceshut knows (asyncio, uvloop, trio); call wait() on a thread instead")
        until = None if limit is None else time.monotonic() + limit
        in_main, ends = _signals.in_main(), self._level == _STOPPED
        swallow = _interrupt.waiting(ends) if in_main and of_program else None
        leaves = in_main and ends
        if swallow is not None and not ends and loop.is_in_main_task():
            _graceshut.set_stops_by_itself()
        if swallow is not None:
            swallow.__enter__()
        if leaves:
            gs._leaver(True)
        try:
            while not self:
                gs._check_open()
                left = _LOOK if until is None else min(_LOOK, until - time.monotonic())
                if left <= 0:
                    return False
                await loop.wait(left, self._add)
            if leaves and swallow is not None:
                swallow.saw_the_end()
                _leaving.waited_in(loop)
            return True
        finally:
            if swallow is not None:
                swallow.__exit__()
            if leaves:
                gs._leaver(False)

    def _add(self, wake: Callable[[], None]) -> Callable[[], None]:
        waiters, waiter = self._gs._waiters, (self._level, wake)
        waiters.add(waiter)
        if self:  # meanwhile
            wake()
        return lambda: waiters.discard(waiter)

    def __repr__(self) -> str:
        return "<graceshut %s: %s>" % (self.name, bool(self))


def ring(gs: GraceShut) -> None:
    """An event came: wakes the coroutines whose level is reached. On the event thread."""
    level = gs._level
    for waiter in list(gs._waiters):
        wanted, wake = waiter
        if level >= wanted:
            try:
                wake()
            except RuntimeError:  # its loop is closed
                gs._waiters.discard(waiter)
