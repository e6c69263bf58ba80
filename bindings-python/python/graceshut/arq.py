"""arq: ``graceshut.arq.run(WorkerSettings)`` in place of ``arq.run_worker``.

In ``drain`` no more jobs are picked and those that run are finished; what still runs at the soft deadline is cancelled, so
that arq gives it out again. ``on_shutdown`` and the connection's end belong to ``close``.
"""

from __future__ import annotations

import asyncio

from . import _server

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional

    from . import GraceShut
    from ._graceshut import Context

__all__ = ["run"]


def run(settings: Any, *, gs: Optional[GraceShut] = None, **options: Any) -> None:
    """Runs a worker until the process is told to stop, then the plan.

    settings, options: as for ``arq.run_worker``. Call it in the main thread.
    Raises ImportError without arq. Returns when the plan is over.
    """
    try:
        from arq.worker import create_worker
    except ImportError as error:
        raise ImportError("graceshut.arq needs arq: pip install 'graceshut[arq]'") from error
    import graceshut

    install = gs or graceshut.current() or graceshut.install()

    async def main() -> None:
        worker = create_worker(settings, handle_signals=False, **options)
        worker.main_task = asyncio.ensure_future(worker.main())

        async def drain(ctx: Context) -> None:
            worker.allow_pick_jobs = False
            try:
                while any(not task.done() for task in worker.tasks.values()):
                    await asyncio.sleep(0.02)
            finally:
                # Jobs that still run are cancelled with it, and go back.
                worker.handle_sig(_signal_of(install))

        install.hook("drain", drain, name="arq")
        install.hook("close", worker.close, name="arq")
        try:
            await worker.main_task
        except asyncio.CancelledError:
            if not install.stopping:
                raise
        if install.stopping:
            await install.stopped.wait()
        else:
            await worker.close()  # burst mode: done

    asyncio.run(main())
    if install._open and not install._manual and install.stopping:
        _server.wait_to_the_end(install)


def _signal_of(gs: GraceShut) -> Any:
    import signal

    reason = gs.reason
    return signal.Signals(reason.signo if reason is not None and reason.signo else signal.SIGTERM)
