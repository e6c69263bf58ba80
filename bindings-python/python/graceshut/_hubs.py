"""gevent and eventlet: where the main thread has a hub, hooks run in it, as coroutine hooks run in the program's loop.

What belongs to a hub may be touched in its thread alone, and a monkey-patched program's sockets, locks and ``sleep`` belong to one.
A native thread that uses them makes a hub of its own, which crashes when the thread ends. So hooks and event callbacks become
greenlets of the main thread's hub, and waiting there lets the others run.

Imports neither library: a program without a hub pays for none.
"""

from __future__ import annotations

import os
import sys
from collections import deque

from . import _graceshut

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Optional, Union

    Hub = Union["Gevent", "Eventlet"]
    Wake = Callable[[], None]

#: A hook that waits for its cancellation looks this often.
_LOOK = 0.05

_hub: Optional[Hub] = None


def reset() -> None:
    global _hub
    _hub = None
    _graceshut.set_hub(False)


def of_main() -> Optional[Hub]:
    """The main thread's, once it was seen. Any thread."""
    return _hub


def here() -> Optional[Hub]:
    """The main thread's hub, for who waits in that thread."""
    return _hub if _hub is not None and _graceshut.in_main_thread() else None


def note() -> None:
    """In the main thread: remembers the hub there is."""
    global _hub
    if _hub is not None or not _graceshut.in_main_thread():
        return
    _hub = _gevents() or _eventlets()
    if _hub is not None:
        _graceshut.set_hub(True)


def _gevents() -> Optional[Gevent]:
    local = sys.modules.get("gevent._hub_local")
    if local is None:
        return None
    hub = local.get_hub_if_exists()
    monkey = sys.modules.get("gevent.monkey")
    if hub is None and monkey is not None and monkey.is_module_patched("time"):
        hub = local.get_hub()
    return Gevent(hub) if hub is not None else None


def _eventlets() -> Optional[Eventlet]:
    hubs, patcher = sys.modules.get("eventlet.hubs"), sys.modules.get("eventlet.patcher")
    if hubs is None or patcher is None:
        return None
    if getattr(hubs._threadlocal, "hub", None) is None and not patcher.is_monkey_patched("time"):
        return None
    return Eventlet(hubs.get_hub())


class Gevent:
    """gevent's hub of the main thread."""

    def __init__(self, hub: Any) -> None:
        self._hub = hub

    def call(self, f: Callable[..., object], *args: Any) -> None:
        """Calls ``f`` in the hub, soon; it must not block. Any thread."""
        self._hub.loop.run_callback_threadsafe(f, *args)

    def spawn(self, f: Callable[[], object]) -> Wake:
        """In the main thread: runs ``f`` as a greenlet; gives what kills it from any thread."""
        import gevent

        greenlet = gevent.spawn(f)
        return lambda: self.call(greenlet.kill, gevent.GreenletExit, False)

    def sleep(self, seconds: float) -> None:
        import gevent

        gevent.sleep(seconds)

    def wait(self, limit: float, add: Callable[[Wake], Wake]) -> None:
        """Waits until what it gave to ``add`` was called, at most ``limit`` seconds; calls what ``add`` gave back."""
        from gevent.event import Event

        event = Event()
        drop = add(lambda: self.call(event.set))
        try:
            event.wait(limit)
        finally:
            drop()

    def leave(self, exit: SystemExit) -> None:
        """In the main thread, in whichever greenlet: raises ``exit`` in the main one."""
        import gevent

        main = self._hub.parent
        if gevent.getcurrent() is main:
            raise exit
        self._hub.loop.run_callback(main.throw, exit)


class Eventlet:
    """eventlet's hub of the main thread."""

    def __init__(self, hub: Any) -> None:
        import eventlet

        self._hub = hub
        self._calls: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        # The hub hears of other threads by descriptors alone.
        self._heard, self._says = os.pipe()
        os.set_blocking(self._heard, False)
        os.set_blocking(self._says, False)
        eventlet.spawn(self._listen)

    def _listen(self) -> None:
        from eventlet.hubs import trampoline

        read = getattr(sys.modules["eventlet.patcher"].original("os"), "read")
        while True:
            trampoline(self._heard, read=True)
            try:
                read(self._heard, 4096)
            except BlockingIOError:
                pass
            while self._calls:
                f, args = self._calls.popleft()
                f(*args)

    def call(self, f: Callable[..., object], *args: Any) -> None:
        self._calls.append((f, args))
        try:
            _graceshut.write_byte(self._says)
        except BlockingIOError:
            pass  # full: the hub is about to look

    def spawn(self, f: Callable[[], object]) -> Wake:
        import eventlet

        thread = eventlet.spawn(f)
        return lambda: self.call(thread.kill)

    def sleep(self, seconds: float) -> None:
        import eventlet

        eventlet.sleep(seconds)

    def wait(self, limit: float, add: Callable[[Wake], Wake]) -> None:
        from eventlet.semaphore import Semaphore

        event = Semaphore(0)
        drop = add(lambda: self.call(event.release))
        try:
            event.acquire(timeout=limit)
        finally:
            drop()

    def leave(self, exit: SystemExit) -> None:
        raise exit  # the hub hands it on to the main greenlet


def run(hub: Hub, job: Callable[[], object], ctx: Any) -> bool:
    """On a worker: has the hub run ``job``; False where it does not take it (the main thread is deep in C) and never will."""
    claim, taken = iter((True,)), _graceshut.Event()

    def start() -> None:
        if next(claim, False):
            taken.set()
            ctx.on_cancel(hub.spawn(job))

    try:
        hub.call(start)
    except Exception:  # a hub that was destroyed
        return not next(claim, False)
    taken.wait(min(1.0, (ctx.remaining or 4.0) / 4))
    return not next(claim, False)


def wait_cancelled(ctx: Any, seconds: float) -> bool:
    """``ctx.wait_cancelled`` of a hook that runs in the hub."""
    import time

    hub, until = here(), time.monotonic() + seconds
    while hub is not None and not ctx.cancelled:
        left = until - time.monotonic()
        if left <= 0:
            break
        hub.sleep(min(left, _LOOK))
    return bool(ctx.cancelled)
