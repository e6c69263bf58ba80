"""``gs.listener``: any server that has a listening socket and a way to stop takes part in the plan (spec 9.5)."""

from __future__ import annotations

import os
import threading

from . import _hooks, _loops
from ._errors import BY_KIND, Draining
from ._server import _TICK, Server

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, Callable, Optional

    from . import GraceShut
    from ._graceshut import Context
    from ._loops import Loop

    Callback = Callable[[], object]


class Listener:
    """A server's listener in the plan; made by :meth:`GraceShut.listener`. Every method may be called on any thread.

    ``with listener:`` and ``async with listener:`` count one request in and out, and raise Draining where it is refused.
    """

    def __init__(self, gs: GraceShut, listener: Any, close: Optional[Callback], refuse: Optional[Callback], name: str) -> None:
        for what, given in (("close", close), ("refuse", refuse)):
            if given is not None and not callable(given):
                raise BY_KIND["bad_value"]("%s is a function or a coroutine function without arguments, not %r" % (what, given))
        if listener is not None:
            _filenos(listener)  # what it cannot be is said now
        self._gs, self._loop = gs, _loops.running()
        self._server = server = Server(gs, name)
        if listener is not None:
            server.listeners = lambda: _own(_filenos(listener))
        if refuse is not None:
            server.told.append(lambda ctx: self._call(refuse, ctx))
        if close is not None:
            server.stop = lambda ctx: self._call(close, ctx)
        server.follow()
        server.stopping = bool(gs.stopping)
        server.join(holds=True)

    def enter(self) -> bool:
        """Counts one request in. False from the start of ``drain`` on: answer 503, with ``Connection: close``. Never blocks."""
        if self._gs.enter():
            return True
        self._server.refused()
        return False

    def leave(self) -> None:
        """Counts one request out, when its answer is written."""
        self._gs.leave()

    @property
    def stopping(self) -> bool:
        """True from the trigger on: say ``Connection: close`` in every answer."""
        return self._server.stopping

    def __enter__(self) -> Listener:
        if not self.enter():
            raise Draining("work is refused: the process is draining")
        return self

    def __exit__(self, kind: Optional[type[BaseException]], error: Optional[BaseException], tb: Optional[TracebackType]) -> None:
        self._gs.leave()

    async def __aenter__(self) -> Listener:
        return self.__enter__()

    async def __aexit__(self, kind: Optional[type[BaseException]], error: Optional[BaseException], tb: Optional[TracebackType]) -> None:
        self._gs.leave()

    def _call(self, fn: Callback, ctx: Optional[Context]) -> None:
        """On the loop that ran where the listener was handed over; without one here, on a worker."""
        loop = self._loop
        if loop is not None and loop.is_running():
            call_on(loop, fn, ctx)
        elif loop is None:
            _hooks.run_reload(fn)  # here; a coroutine on the loop that graceshut last saw


def call_on(loop: Loop, fn: Callback, ctx: Optional[Context]) -> None:
    """Calls ``fn`` in the loop and waits until it, or the coroutine it gives, is over; raises what it raises. On a worker."""
    over = threading.Event()
    failed: list[BaseException] = []
    stops: list[Callable[[], None]] = []

    async def run() -> None:
        try:
            result: Any = fn()
            if hasattr(result, "__await__"):
                await result
        except BaseException as error:
            failed.append(error)
        finally:
            over.set()

    try:
        loop.call(lambda: stops.append(loop.spawn(run)))
        while not over.is_set() and not loop.is_closed():
            if ctx is None:
                over.wait(1.0)  # the plan is over, and the process about to leave
                break
            if ctx.wait_cancelled(_TICK):
                # The soft deadline: cancelled in the loop's own idiom, and waited for as long as the hook has.
                for stop in stops:
                    stop()
                over.wait(ctx.remaining)
                break
    except RuntimeError:
        pass  # the loop ended in this moment, and its server with it
    if failed:
        raise failed[0]


class _Own:
    """A listening socket, through a descriptor of our own."""

    __slots__ = ("_fd",)

    def __init__(self, fd: int) -> None:
        self._fd = os.dup(fd)

    def fileno(self) -> int:
        return self._fd

    def forget(self) -> None:
        os.close(self._fd)


def _own(filenos: list[int]) -> list[Any]:
    found = []
    for fd in filenos:
        try:
            found.append(_Own(fd))
        except OSError:
            pass  # closed by its server already
    return found


def _filenos(listener: Any) -> list[int]:
    """Descriptors of what a server calls its listener. Those that are closed (-1) are left out."""
    if isinstance(listener, int) and not isinstance(listener, bool):
        return [listener] if listener >= 0 else []
    for name in ("sockets", "socket"):  # asyncio's servers; socketserver's, gevent's, cheroot's
        inner = getattr(listener, name, None)
        if inner is not None and not callable(inner):
            return _filenos(inner)
    if hasattr(listener, "fileno"):
        return _filenos(listener.fileno())
    if isinstance(listener, (list, tuple, set, frozenset)):
        return [fd for one in listener for fd in _filenos(one)]
    words = "listener is a socket, a descriptor, a list of these, or what has .sockets or .fileno(), not %r; give the listening socket"
    raise BY_KIND["bad_value"](words % (listener,))
