"""How the main thread is made to leave: ``SystemExit``, raised by the callable of a signal that nobody listens to.

Core decides when (spec 6.5, 6.6); ``src/main_thread.rs`` sends the signal.
"""

from __future__ import annotations

import sys
import time

from . import _graceshut, _hubs, _loops

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType, FrameType
    from typing import Optional

#: When the program was last given a Ctrl-C of its own, and how long it has for it before it is made to leave.
_interrupted_at = float("-inf")
_AFTER_INTERRUPT = 0.3
#: Where this process was forked: code, instruction, and whether that was multiprocessing.
_forked: Optional[tuple[CodeType, int, bool]] = None


#: The loop in which a task of the program saw the end.
_waited_in: Optional[_loops.Loop] = None


def reset() -> None:
    global _interrupted_at, _waited_in
    _interrupted_at, _waited_in = float("-inf"), None


def by_itself() -> None:
    """The program saw the end in its main thread, and goes on there until it leaves: as after ``gs.wait()`` it is not told to."""
    _graceshut.exit_begins(True)


def waited_in(loop: _loops.Loop) -> None:
    """A task of the main thread's loop saw the end. Where it is the one that the loop runs for, the program leaves by itself now;
    beside another one, which may go on for ever, once the loop has ended."""
    global _waited_in
    _waited_in = loop
    if loop.is_in_main_task():
        by_itself()


def interrupted() -> None:
    """The program is about to be given a KeyboardInterrupt."""
    global _interrupted_at
    _interrupted_at = time.monotonic()


def on_kick(signum: int, frame: Optional[FrameType]) -> None:
    """The callable of that signal, or called without one. In the main thread, between two instructions."""
    _graceshut.came_by()
    leave_if_due(frame)


def leave_if_due(frame: Optional[FrameType]) -> None:
    """Raises SystemExit once core wants the main thread to leave; core asks again where it is not raised."""
    if time.monotonic() - _interrupted_at < _AFTER_INTERRUPT or _in_fork_step(frame):
        return
    if _left_to_loop(frame) or _loops.is_one_beginning_or_ending():
        return
    if _waited_in is not None and not _waited_in.is_running():
        return by_itself()
    code = _graceshut.exit_due()
    if code is not None:
        _leave(code)


def _leave(code: int) -> None:
    if isinstance(_loops.running(), _loops.Trio):
        # Raised inside trio's own code it would be taken for a defect of trio. Who awaits `gs.stopped` has left before.
        from ._runtime import _leave_now

        _leave_now()
    exit = SystemExit(code)
    before = sys.unraisablehook

    def lost(unraisable: sys.UnraisableHookArgs) -> None:
        if unraisable.exc_value is not exit:
            before(unraisable)
            return
        # Raised in a weakref's callback or a __del__, where it is written to stderr and forgotten.
        if sys.unraisablehook is lost:
            sys.unraisablehook = before
        _graceshut.exit_was_lost()

    sys.unraisablehook = lost
    hub = _hubs.here()
    if hub is None:
        raise exit
    hub.leave(exit)


def _left_to_loop(frame: Optional[FrameType]) -> bool:
    """Whether asyncio's own code is interrupted: then the loop calls :func:`leave_if_due` itself, in its next step.

    Raised between two callbacks, the exception leaves those that are due in the loop. Where the main task had just ended, one
    of them stops the loop that ``asyncio.run`` cleans up with, and the program ends with a RuntimeError.
    """
    loop = _loops.running()
    if not isinstance(loop, _loops.Asyncio) or not loop.is_between_callbacks(frame):
        return False
    loop.call(leave_if_due, None)
    return True


def after_fork(forker: Optional[FrameType]) -> None:
    """In a forked child. ``forker`` called fork; None where C code did."""
    global _forked
    _forked = None
    if forker is not None:
        code = forker.f_code
        launches = code.co_name == "_launch" and forker.f_globals.get("__name__") == "multiprocessing.popen_fork"
        _forked = code, forker.f_lasti, launches


def _in_fork_step(frame: Optional[FrameType]) -> bool:
    """Whether this child is not under way yet: what is raised in a step after fork is written to stderr and forgotten, and
    between os.fork and multiprocessing's own first step it would unwind the parent's stack."""
    if _forked is None:
        return False
    code, at, by_multiprocessing = _forked
    top = frame
    while frame is not None:
        if by_multiprocessing and frame.f_code.co_name == "_bootstrap":
            return False
        if frame.f_code is code and (by_multiprocessing or frame is not top and frame.f_lasti == at):
            return True
        frame = frame.f_back
    return False
