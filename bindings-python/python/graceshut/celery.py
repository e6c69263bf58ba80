"""celery: ``graceshut.celery.follow()`` beside the app; then ``celery worker`` as ever, prefork, threads or solo.

The worker's main process has the plan: in ``drain`` it stops consuming and finishes its tasks (celery's warm shutdown), then
come the other phases. Pool processes are forks: they have no hooks, and signals mean there what celery makes of them.
Tasks that are not done by the soft deadline of ``drain`` are left to the broker; with ``acks_late`` it gives them out again.
"""

from __future__ import annotations

import os
import threading

from . import _server

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional

    from . import GraceShut

__all__ = ["follow"]

_wanted: Optional[GraceShut] = None
_pid = 0


def follow(gs: Optional[GraceShut] = None) -> None:
    """Makes every worker of this program stop by the plan of ``gs``, or of the install there is when it starts.

    Call it once, where the app is made. Raises ImportError without celery.
    """
    try:
        from celery import signals
    except ImportError as error:
        raise ImportError("graceshut.celery needs celery: pip install 'graceshut[celery]'") from error
    global _wanted
    _wanted = gs
    signals.worker_ready.connect(_ready)
    signals.worker_shutting_down.connect(_shutting_down)
    signals.worker_shutdown.connect(_shut_down)


def _ready(**_: Any) -> None:
    global _pid
    _pid = os.getpid()
    server = _server.of(_wanted)
    server.gone = threading.Event()
    server.up(listens=False)


def _shutting_down(sig: Any = None, how: Any = None, **_: Any) -> None:
    """celery stops: by our signal, by QUIT, or because somebody called its handler."""
    if _pid != os.getpid():
        return
    gs = _server.of(_wanted).gs
    if not gs.stopping:
        gs.stop("celery: %s shutdown (%s)" % (how, sig))


def _shut_down(**_: Any) -> None:
    if _pid != os.getpid():
        return
    server = _server.of(_wanted)
    if not server.gs.stopping:
        server.gs.stop("celery: the worker has stopped")  # by remote control
    if server.gone is not None:
        server.gone.set()
