"""What stands between the signal and a server's own way of stopping, the same for every server.

A server that hears of SIGTERM stops at once: it closes its listener while balancers still send to it. So the stop signals
are kept from it (core hears them all the same) and the plan goes first:

* ``announce``: it serves on; readiness is red;
* ``drain``: it answers 503 and ``Connection: close`` to what still comes. A server whose own stop cuts requests goes on so
  until what is in flight is done. When no request has come for a while its listeners can be closed without a reset (spec
  9.4), and only now the signal is given to it: it stops in its own way;
* the other phases, while it lives if it can tell us of its end (ASGI's lifespan), else beside it.
"""

from __future__ import annotations

import functools
import os
import time

from . import _door, _exit, _graceshut, _leaving, _signals
from ._errors import BY_KIND
from ._flags import _SLICE, _STOPPED
from ._graceshut import Linger

TYPE_CHECKING = False
if TYPE_CHECKING:
    import threading
    from typing import Any, Callable, Optional, Protocol

    from . import GraceShut
    from ._graceshut import Context

    class OwnListener(Protocol):
        """A listening socket through a descriptor of our own, such as :class:`_door.Listener`."""

        def fileno(self) -> int: ...
        def forget(self) -> None: ...


#: Seconds between two looks.
_TICK = 0.01
#: Of the time before the soft deadline this much, and at most a quarter, is kept for closing the listeners.
_CLOSING = 0.5

# No locks here: under gevent and eventlet they would be those of greenlets, and hooks run on native threads. One operation
# on a dict or a list decides instead.
_servers: dict[int, Server] = {}
#: Those that want the stop signals kept; they are given when the last one has closed.
_holders: set[Server] = set()


def of(gs: Optional[GraceShut] = None) -> Server:
    """The one of this process and install; ``gs`` defaults to the install there is, else one is made."""
    import graceshut

    gs = gs if gs is not None and gs._open else graceshut.current() or graceshut.install()
    found = _servers.get(id(gs))
    if found is None or found.gs is not gs:
        for key, one in list(_servers.items()):
            if one.gs is not gs:  # an earlier install, or the parent's
                _servers.pop(key, None)
                _holders.discard(one)
        found = _servers.setdefault(id(gs), Server(gs))
        found.follow()
    return found


def wait_to_the_end(gs: GraceShut) -> None:
    """For a ``run`` that returns as the server's own does: in the main thread, after the server has stopped."""
    reason = gs.reason
    if reason is None or reason.signal != "INT" or not _signals.program_heard_of_one():
        gs.wait()
        return
    # The server has dealt with Ctrl-C, and the program ends with a status of its own. One that waits in `gs.wait` dies by INT (spec 6.4).
    while not gs._wait_level(_STOPPED, _SLICE):
        pass
    _leaving.by_itself()


def _after_fork() -> None:
    _servers.clear()
    _holders.clear()


@functools.cache  # once
def _follow_fork() -> None:
    os.register_at_fork(after_in_child=_after_fork)


class Server:
    """A server of this process."""

    def __init__(self, gs: GraceShut, name: str = "server") -> None:
        _follow_fork()
        self.gs, self.name = gs, name
        #: True from the trigger on: say ``Connection: close``.
        self.stopping = False
        #: When ``drain`` began, as time.monotonic() counts.
        self.drains_since: Optional[float] = None
        #: How to stop the server where the signal does not do it. The context is None when the plan is over without ``drain``.
        self.stop: Optional[Callable[[Optional[Context]], object]] = None
        #: Its own stop lets requests in flight finish. False where that is not known.
        self.stop_waits = False
        #: The listening sockets, as descriptors of our own; by default all of this process.
        self.listeners: Callable[[], list[OwnListener]] = self._all_listeners
        #: False: another process goes on serving the listeners, so they are left at once.
        self.whole: Callable[[], bool] = lambda: True
        #: True: the listeners end with all the processes that have them open.
        self.all_holders_stop = False
        #: Called at the trigger, and when ``drain`` begins.
        self.told_early: list[Callable[[], object]] = []
        self.told: list[Callable[[Context], object]] = []
        #: True while the server must not be stopped yet, though nobody new comes: websockets are being told.
        self.busy: list[Callable[[], bool]] = []
        #: Set by the adapter when the server has closed all it had open; ``drain`` waits for it.
        self.gone: Optional[threading.Event] = None
        self.pid = os.getpid()
        self.released = False
        self._came = False
        self._is_up = self._listens = False
        self._first, self._unfollowed = [True], [True]

    # ---- for adapters

    def up(self, holds: bool = True, listens: bool = True) -> None:
        """The server serves, or is about to: from now on its stop is part of the plan.

        holds: it hears signals. listens: it has clients that come to it, not a broker.
        """
        if self._is_up or not self.gs._open:
            return
        try:
            self._first.pop()
        except IndexError:
            return  # another thread does it
        self._is_up = True
        if self.gs.stopping:
            return  # too late to take part: it stops as it would without us
        try:
            self.join(holds, listens)
        except BY_KIND["too_late"]:
            self.release()  # a signal was faster

    def join(self, holds: bool, listens: bool = True) -> None:
        """Takes part in the plan. Raises TooLate when ``drain`` is over."""
        self._is_up, self._listens = True, listens
        if listens:
            _exit.left_by_main.append(self._refuse_newcomers)
            if not self.gs.serving:
                self.gs.serving = True
        if holds:
            self.hold()
        self.gs.hook("drain", self._drain, name=self.name)

    def follow(self) -> None:
        """Hears of the shutdown; once."""
        try:
            self._unfollowed.pop()
        except IndexError:
            return
        self.gs.on_event(self._hear)

    def hold(self) -> None:
        """Keeps the stop signals from the server."""
        _holders.add(self)
        _signals.hold(_signals.stop_signals())

    def refused(self) -> None:
        """A request came and was refused."""
        self._came = True

    def release(self, ctx: Optional[Context] = None) -> None:
        """Lets the server stop; once. Raises what its ``stop`` raises."""
        if self.released:
            return
        self.released = True
        try:
            if self.stop is not None:
                self.stop(ctx)
        finally:
            _holders.discard(self)
            if not _holders:
                self._give_signal()

    def _give_signal(self) -> None:
        import signal

        reason = self.gs.reason
        signo = reason.signo if reason is not None and reason.signo else int(signal.SIGTERM)
        _signals.release(signo)

    # ---- the plan

    def _hear(self, event: dict[str, Any]) -> None:
        if event["event"] == "trigger":
            self.stopping = True
            for tell in self.told_early:
                tell()
        elif event["event"] == "finished" and self._is_up:
            self.release()

    def _drain(self, ctx: Context) -> None:
        self.stopping, self.drains_since = True, time.monotonic()
        for tell in list(self.told):
            tell(ctx)
        try:
            if self._listens and self.whole():
                if not self.stop_waits:
                    self._finish_work(ctx)
                self._linger(ctx)
        finally:
            self.release(ctx)
        gone = self.gone
        # Looked at, not waited on: under gevent its wait would be a greenlet's.
        while gone is not None and not gone.is_set() and not ctx.wait_cancelled(_TICK):
            pass

    def _finish_work(self, ctx: Context) -> None:
        """Newcomers are refused in words until what is in flight is done: the server's own stop may cut it."""
        until = _closing_begins(ctx)
        while self.gs.in_flight > 0 and (until is None or time.monotonic() < until):
            if ctx.wait_cancelled(_TICK):
                return

    def _linger(self, ctx: Context) -> None:
        ours = self.listeners()
        fds = [one.fileno() for one in ours]
        linger = Linger(ctx, all_holders_stop=self.all_holders_stop)
        try:
            while not ctx.wait_cancelled(_TICK):
                # Websockets are told while newcomers are still heard; how long that takes is their matter.
                if any(busy() for busy in self.busy):
                    continue
                came, self._came = self._came, False
                if linger.step(came, False, fds):
                    return
        finally:
            for one in ours:
                one.forget()

    def _refuse_newcomers(self) -> None:
        """The main thread, and with it most servers' loop, is gone, while other threads keep the process: a listener that was not
        closed would go on turning newcomers away, who try again until their time is over."""
        if not self.whole():
            return
        ours = self.listeners()
        try:
            _graceshut.refuse([one.fileno() for one in ours])
        finally:
            for one in ours:
                one.forget()

    def _all_listeners(self) -> list[OwnListener]:
        # The admin endpoint goes on answering to the end (spec 7.5).
        return list(_door.listeners(but=self.gs.admin_address))


def _closing_begins(ctx: Context) -> Optional[float]:
    """When the listeners have to begin to close so that they have before the soft deadline of the hook (spec 5.5)."""
    left = ctx.remaining
    if left is None:
        return None
    soft = left - min(max(0.2 * left, 0.05), 10.0, left / 2)
    return time.monotonic() + soft - min(_CLOSING, soft / 4)
