"""dramatiq: ``broker.add_middleware(graceshut.dramatiq.Middleware())``; then the ``dramatiq`` command as ever.

Each worker process has its own plan: in ``drain`` it takes no more messages and finishes those it has (dramatiq's own stop),
then come the other phases. ``setup(gs)`` registers hooks there. The main process has no plan; it hands signals on.
"""

from __future__ import annotations

import sys
import threading

from . import _server

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Optional

    from . import GraceShut

    class Base:
        """dramatiq's own middleware, none of which is used here."""

    StreamablePipe: Any
else:
    try:
        from dramatiq import Middleware as Base
        from dramatiq.compat import StreamablePipe
    except ImportError as error:
        raise ImportError("graceshut.dramatiq needs dramatiq: pip install 'graceshut[dramatiq]'") from error

__all__ = ["Middleware"]


class Middleware(Base):
    """setup: called with the install in each worker process. options: as for :func:`graceshut.install`."""

    def __init__(self, setup: Optional[Callable[[GraceShut], object]] = None, **options: Any) -> None:
        self._setup, self._options = setup, options
        self._open: set[str] = set()

    def after_process_boot(self, broker: Any) -> None:
        """In a worker process, in its main thread."""
        import graceshut

        gs = graceshut.install(**self._options)
        if self._setup is not None:
            self._setup(gs)
        server = _server.of(gs)
        server.gone = threading.Event()
        server.up(listens=False)
        # The pipe through which a worker prints and logs: dramatiq closes it before the last phases, which would then fail at
        # their first word. The end of the process closes it as well.
        pipe: Any = sys.stdout
        if isinstance(pipe, StreamablePipe):
            pipe.close = lambda: None

    def before_process_message(self, broker: Any, message: Any) -> None:
        """On a worker thread: the message is work in flight, though it came late."""
        _server.of().gs.enter_part()
        self._open.add(message.message_id)

    def after_process_message(self, broker: Any, message: Any, *, result: Any = None, exception: Any = None) -> None:
        """On a worker thread: done, failed, or skipped, perhaps before this middleware saw it."""
        if message.message_id in self._open:
            self._open.discard(message.message_id)
            _server.of().gs.leave()

    after_skip_message = after_process_message

    def after_worker_shutdown(self, broker: Any, worker: Any) -> None:
        """All its threads have ended."""
        gone = _server.of().gone
        if gone is not None:
            gone.set()
