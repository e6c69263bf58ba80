"""How a Python program ends, and where the plan meets that (spec 2.6, 6.5; embedding B18 to B20).

* ``threading``'s pre-shutdown step (before it joins threads; everything of Python still works): an end without a trigger is
  one. Threads that are no daemons are waited for first: a program whose main thread has returned goes on in them.
* ``atexit``: the gate is closed. From there on only native hooks run.
* ``sys.excepthook``: an uncaught error is the reason, and its status stays.

The status of ``sys.exit(3)`` cannot be known here; it stays all the same, since core lets a host's own status be.
"""

from __future__ import annotations

import os
import sys
import threading

from . import _graceshut, _hooks, _hubs, _interrupt, _leaving, _signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Optional

#: Closing the gate may take this long.
_CLOSE_LIMIT = 1.0
#: The last event gets this long to reach logging and callbacks.
_TELL_LIMIT = 0.1

#: Called when the main thread has ended after the plan, before the program's other threads are waited for.
left_by_main: list[Callable[[], object]] = []

_registered = False
#: multiprocessing calls us in its children; they inherit that.
_tells_children = False
_gs: Any = None
_uncaught: Optional[str] = None
_interrupted = False
_hook_before: Any = None


def follow(gs: Any) -> None:
    """From now on the end of the program is this install's business."""
    global _registered, _gs, _uncaught, _interrupted, _hook_before
    _gs, _uncaught, _interrupted = gs, None, False
    if sys.excepthook is not _excepthook:
        _hook_before, sys.excepthook = sys.excepthook, _excepthook
    _follow_multiprocessing()
    if _registered:
        return
    _registered = True
    import atexit

    # Its own pre-shutdown step ends the workers of every pool; registered before ours, it comes after ours.
    import concurrent.futures.thread  # noqa: F401

    atexit.register(_at_exit)
    os.register_at_fork(before=_signals.before_fork, after_in_parent=_signals.unblock, after_in_child=_after_fork)
    try:
        threading._register_atexit(_pre_shutdown)  # type: ignore[attr-defined]
    except (AttributeError, RuntimeError):
        # No such step, or it is over already.
        atexit.register(_pre_shutdown)


def forget() -> None:
    global _gs
    _gs = None
    left_by_main.clear()
    if sys.excepthook is _excepthook:
        sys.excepthook = _hook_before


def _mine() -> Any:
    gs = _gs
    return gs if gs is not None and gs._open else None


def _excepthook(kind: type[BaseException], error: BaseException, traceback: Any) -> None:
    global _uncaught, _interrupted
    if _signals.in_main():
        _uncaught, _interrupted = _hooks.describe(error), kind is KeyboardInterrupt
    _hook_before(kind, error, traceback)


def _other_threads() -> list[threading.Thread]:
    pools = getattr(sys.modules.get("concurrent.futures.thread"), "_threads_queues", {})
    me = threading.current_thread()
    return [t for t in threading.enumerate() if t is not me and not t.daemon and t not in pools]


def _wait_for_threads() -> None:
    while True:
        others = _other_threads()
        if not others:
            return
        try:
            others[0].join()
        except SystemExit:
            return  # the shutdown is over, and core wants out
        except KeyboardInterrupt:
            return  # ours: the shutdown is under way
        except RuntimeError:
            return


def _pre_shutdown() -> None:
    gs = _mine()
    if gs is None or gs._manual:
        return
    error = _uncaught
    if error is None and sys.excepthook is not _excepthook and not hasattr(sys, "ps1"):
        # Somebody replaced our hook and did not call it; the interpreter remembers as well.
        last = getattr(sys, "last_value", None)
        error = _hooks.describe(last) if last is not None else None
    if gs.state == "stopped":
        _leaving.by_itself()
        if _other_threads():
            for call in left_by_main:
                call()
    _wait_for_threads()
    child = _child_frame()
    status = int(child.f_locals.get("exitcode") or 0) if child is not None else 0
    code = _end(gs, error, status if error is None else 130 if _interrupted else 1)
    if child is not None and status == 0 and code:
        # From 3.13 on this is the last step of multiprocessing's child, and writes through (PEP 667); before, see below.
        child.f_locals["exitcode"] = code


def _end(gs: Any, error: Optional[str], code: int) -> int:
    """The program ends, which is a trigger if there was none; waits for the plan and gives its status."""
    _graceshut.exit_begins(True)
    _interrupt.ending()
    try:
        if _signals._caught:
            # A signal that Python has seen already is the reason, even if the engine's thread gets to it only now.
            gs._wait_level(1, 0.2)
        if gs.state == "armed":
            gs._host_end(error, code)
        elif error is None and _signals.program_heard_of_one():
            gs._host_deals_with_it()
        _hooks.drive_loops()
        if _hooks._pending:
            _hooks.sweep()
        hub = _hubs.here()
        if hub is not None:
            # The hooks run in it.
            while gs._wait(0.0, False) is None:
                hub.sleep(0.005)
        gs._wait_to_the_end()
        gs._wait_told(_TELL_LIMIT)
        return int(gs._wait(0.0, False) or 0)
    except Exception:  # closed by another thread meanwhile: the program ends as though nothing was installed
        return 0


def _at_exit() -> None:
    gs = _mine()
    if gs is None:
        return
    if _interrupted:
        # CPython dies by INT after an uncaught KeyboardInterrupt, unless an eval came in between (a hook that imported
        # something): its note of it is kept by the last string that was run.
        try:
            exec("raise KeyboardInterrupt")
        except KeyboardInterrupt:
            pass
    if not gs._manual and gs.state == "armed":
        # threading's shutdown is replaced, as eventlet does: its step before that never came.
        _pre_shutdown()
    _graceshut.exit_begins(True)
    _interrupt.ending()
    if gs._close_gate(_CLOSE_LIMIT) or gs._manual:
        return
    # A hook that was abandoned is still inside. The interpreter cannot be taken apart under it (embedding B20).
    leave_without_finalising(gs)


def leave_without_finalising(gs: Any) -> None:
    """The C library's exit, with what Python holds back written."""
    _flush()
    gs._exit_with_guests()


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:
            pass
    logging = sys.modules.get("logging")
    if logging is not None:
        logging.shutdown()


def leave_without_main() -> None:
    """On a thread of graceshut: the main thread sleeps in C and takes nothing. What a clean end does; core's exit follows."""
    import atexit

    try:
        atexit._run_exitfuncs()
    finally:
        _flush()


def begin_anew() -> Optional[Any]:
    """In a forked child: nothing is installed; gives what its parent wants re-armed."""
    global _uncaught, _interrupted
    forget()
    _uncaught, _interrupted = None, False
    _graceshut.after_fork()
    _hooks.reset()
    from . import _runtime

    return _runtime.after_fork()


def _after_fork() -> None:
    rearmed = begin_anew()
    # None where C code forks, as uWSGI does.
    forker = sys._getframe().f_back
    if forker is not None and forker.f_globals.get("__name__") == "subprocess":
        # Called by Popen with a preexec_fn: the child is about to be another program.
        rearmed = None
    _signals.after_fork(forker, rearmed is not None)
    if rearmed is not None:
        try:
            rearmed.rearm()
        except Exception:
            import logging

            logging.getLogger("graceshut").exception("a forked child could not be re-armed: signals meet what was there before")
        finally:
            _signals.unblock()


def _follow_multiprocessing() -> None:
    """A child that multiprocessing forked ends by ``os._exit``, without atexit (embedding B19): its own last step is taken.

    Right after the fork that step is not there yet: multiprocessing first forgets the parent's, then calls who asked to be
    called after a fork.
    """
    global _tells_children
    process, util = (sys.modules.get("multiprocessing." + name) for name in ("process", "util"))
    if process is None or util is None:
        return
    if not _tells_children:
        _tells_children = True
        util.register_after_fork(_at_process_end, _finalize)
    if process.parent_process() is not None:
        _finalize(_at_process_end)


def _finalize(at_end: Any) -> None:
    # -100: after everything else of the child.
    sys.modules["multiprocessing.util"].Finalize(None, at_end, exitpriority=-100)


def _at_process_end() -> None:
    gs = _mine()
    if gs is None or gs._manual:
        return
    error = sys.exc_info()[1]
    left_by_exit = isinstance(error, SystemExit)
    described = _hooks.describe(error) if error is not None and not left_by_exit else None
    code = _end(gs, described, 0 if error is None else _status_of(error))
    if code and error is None and _child_frame() is not None:
        raise SystemExit(code)


def _child_frame() -> Any:
    """The frame in which multiprocessing decides the status of a child of its own, if this is one."""
    frame = sys._getframe()
    while frame is not None:
        if frame.f_code.co_name == "_bootstrap" and frame.f_globals.get("__name__") == "multiprocessing.process":
            return frame
        frame = frame.f_back  # type: ignore[assignment]
    return None


def _status_of(error: BaseException) -> int:
    code = getattr(error, "code", 1) if isinstance(error, SystemExit) else 1
    return 0 if code is None else code if isinstance(code, int) else 1
