"""What stands between the signal and a server's own way of stopping, the same for every server.

A server that hears of SIGTERM stops at once: it closes its listener while balancers still send to it. So the stop signals
are kept from it (core hears them all the same) and the plan goes first:

* ``announce``: it serves on; readiness is red;
* ``drain``: it answers 503 and ``Connection: close`` to what still comes, until nobody has come for a while; then its
  listeners can be closed without a reset (spec 9.4), and only now the signal is given to it: it stops in its own way;
* the other phases, while it lives if it can tell us of its end (ASGI's lifespan), else beside it.
"""

from __future__ import annotations

import functools
import os
import threading

from . import _door, _signals
from ._graceshut import Linger

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Optional

    from . import GraceShut
    from ._graceshut import Context

#: Seconds between two looks.
_TICK = 0.01

_servers: dict[int, Server] = {}
_lock = threading.Lock()


def of(gs: Optional[GraceShut] = None) -> Server:
    """The one of this process and install; ``gs`` defaults to the install there is, else one is made."""
    import graceshut

    gs = gs if gs is not None and gs._open else graceshut.current() or graceshut.install()
    with _lock:
        found = _servers.get(id(gs))
        if found is None or found.gs is not gs:
            _servers.clear()  # an earlier install, or the parent's
            found = _servers[id(gs)] = Server(gs)
    return found


def _after_fork() -> None:
    global _lock
    _lock = threading.Lock()
    _servers.clear()


@functools.cache  # once
def _follow_fork() -> None:
    os.register_at_fork(after_in_child=_after_fork)


class Server:
    """The server of this process."""

    def __init__(self, gs: GraceShut) -> None:
        _follow_fork()
        self.gs = gs
        #: True from the trigger on: say ``Connection: close``.
        self.stopping = False
        #: How to stop the server where the signal does not do it.
        self.stop: Optional[Callable[[], object]] = None
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
        self._up_lock = threading.Lock()
        gs.on_event(self._hear)

    # ---- for adapters

    def up(self, holds: bool = True, listens: bool = True) -> None:
        """The server serves, or is about to: from now on its stop is part of the plan.

        holds: it hears signals. listens: it has clients that come to it, not a broker.
        """
        if self._is_up:
            return
        with self._up_lock:
            if self._is_up or not self.gs._open:
                return
            self._is_up = True
        if self.gs.stopping:
            return  # too late to take part: it stops as it would without us
        self._listens = listens
        if listens and not self.gs.serving:
            self.gs.serving = True
        if holds:
            self.hold()
        self.gs.hook("drain", self._drain, name="server")

    def hold(self) -> None:
        """Keeps the stop signals from the server."""
        import signal

        stops = []
        for key, entry in self.gs.config().items():
            _, _, name = key.partition("signals.")
            number = getattr(signal, "SIG" + name, None) if name else None
            # HUP stops only where nobody reloads, and a server's own handler for it is no stop.
            if number is not None and number != signal.SIGHUP and str(entry["value"]).startswith("stop"):
                stops.append(int(number))
        _signals.hold(stops)

    def refused(self) -> None:
        """Somebody came and was refused."""
        self._came = True

    def release(self) -> None:
        """Lets the server stop; once."""
        if self.released:
            return
        self.released = True
        if self.stop is not None:
            self.stop()
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
        self.stopping = True
        for tell in list(self.told):
            tell(ctx)
        try:
            if self._listens and self.whole():
                self._linger(ctx)
        finally:
            self.release()
        gone = self.gone
        while gone is not None and not ctx.cancelled and not gone.wait(_TICK):
            pass

    def _linger(self, ctx: Context) -> None:
        # The admin endpoint goes on answering to the end (spec 7.5).
        ours = _door.listeners(but=self.gs.admin_address)
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
