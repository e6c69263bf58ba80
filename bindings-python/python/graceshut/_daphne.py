"""daphne has no lifespan and stops its reactor, and with it the event loop, the moment it hears of the signal.

So its reactor is held: its listeners are closed, as they would be, and the loop lives until the plan is over.
"""

from __future__ import annotations

import asyncio
from importlib import import_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._server import Server


def hold_reactor(server: Server) -> None:
    """In the reactor's thread, with its loop running."""
    # Not by an import statement: what is optional is not there for type checkers.
    defer, interfaces, reactor = (_twisted(name) for name in ("defer", "interfaces", "reactor"))

    async def over() -> None:
        await server.gs.stopped._wait_async(None, of_program=False)

    def before_shutdown() -> Any:
        if not server.gs._open or not server.gs.stopping:
            return None  # it ends for reasons of its own, and its end is the trigger
        for one in list(reactor.getReaders()):
            if interfaces.IListeningPort.providedBy(one):
                one.stopListening()
        return defer.Deferred.fromFuture(asyncio.ensure_future(over()))

    reactor.addSystemEventTrigger("before", "shutdown", before_shutdown)


def _twisted(name: str) -> Any:
    return import_module("twisted.internet." + name)
