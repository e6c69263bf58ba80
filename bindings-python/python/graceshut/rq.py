"""rq: ``rq worker --worker-class graceshut.rq.Worker``, or ``graceshut.rq.Worker(queues, connection=…).work()``.

In ``drain`` the worker takes no more jobs and finishes the one it has (rq's warm shutdown), then come the other phases. The
job's process is a fork: it has no hooks, and signals mean there what rq makes of them.
"""

from __future__ import annotations

import threading

from . import _server

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    class Base:
        """rq's own worker, as far as it is used here."""

        def __init__(self, *args: Any, **options: Any) -> None: ...
        def work(self, *args: Any, **options: Any) -> Any: ...
        def bootstrap(self, *args: Any, **options: Any) -> Any: ...
        def execute_job(self, job: Any, queue: Any) -> Any: ...

else:
    try:
        from rq import Worker as Base
    except ImportError as error:
        raise ImportError("graceshut.rq needs rq: pip install 'graceshut[rq]'") from error

__all__ = ["Worker"]


class Worker(Base):
    """rq's worker; follows the install there is when its work begins, else one is made."""

    def work(self, *args: Any, **options: Any) -> Any:
        """As rq's. Blocks until the worker has stopped."""
        server = _server.of()
        server.gone = threading.Event()
        try:
            return super().work(*args, **options)
        finally:
            server.gone.set()

    def bootstrap(self, *args: Any, **options: Any) -> Any:
        """As rq's: the worker is about to work, and has its signal handlers soon."""
        result = super().bootstrap(*args, **options)
        _server.of().up(listens=False)
        return result

    def execute_job(self, job: Any, queue: Any) -> Any:
        """As rq's; the job is work in flight."""
        server = _server.of()
        server.gs.enter_part()  # taken is taken, though `drain` has begun meanwhile
        try:
            return super().execute_job(job, queue)
        finally:
            server.gs.leave()
