"""How graceshut's handler lives beside Python's (embedding B14 to B18, B23).

The native handler is on top and always calls CPython's, which sets a flag. In Python's own table stands one callable of
ours per managed signal, and ``signal.signal`` only changes whom that callable calls. So

* a handler set before or after ``install`` keeps working, asyncio's too, and the native one is never replaced;
* ``signal.getsignal`` shows what the program itself has set, and giving that back is no harm (uvicorn's restore, B17);
* setting ``SIG_DFL`` keeps ours.

A handler that native code put under Python's back stays, below ours, until the program sets one in Python, which replaces it as
ever. How the main thread is made to leave is :mod:`graceshut._leaving`'s.

``_signal.signal`` is what is wrapped: ``signal.signal`` looks it up at each call, so that ``from signal import signal``,
done long before, is told as well.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import os
import sys
import threading

from . import _graceshut, _hooks, _interrupt, _leaving

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any, Callable, Iterable, Optional, Union

    Handler = Union[Callable[[int, Optional[FrameType]], Any], int, None]

in_main = _graceshut.in_main_thread

_DFL_ENUM: Handler = _signal.SIG_DFL
_DFL, _IGN = int(_signal.SIG_DFL), int(_signal.SIG_IGN)
_USERS_CHOICE = (_signal.SIGHUP, _signal.SIGINT, _signal.SIGQUIT)

_real_signal: Callable[[int, Handler], Handler] = _signal.signal
_real_getsignal: Callable[[int], Handler] = _signal.getsignal

#: What the program itself has set, per signal that has our callable in Python's table.
_view: dict[int, Handler] = {}
#: Managed signals under which C code had a handler before Python began: Python knows no object for it (embedding B16).
_c_handlers: set[int] = set()
#: Signals that the configuration ignores.
_ignored: set[int] = set()
_managed: list[tuple[int, bool, bool, bool]] = []
#: Signals that begin the shutdown.
_stops: set[int] = set()
#: How long core may take to hear of one before it is told again.
_HEARS_WITHIN = 0.02
_pid = 0
_runtime: Any = None
#: Those of `_view` under which other native code has its handler in the kernel: Python never knew.
_native: set[int] = set()
#: Those whose handler of the program's own was called: it is stopping by itself, also where it takes the handler away then.
_handled: set[int] = set()
#: Those that the program ignores since `install`: it is not to be cut in what it does meanwhile. TERM is acted on all the same.
_set_aside: set[int] = set()
_warned: set[int] = set()
#: A managed signal came by: the engine knows of it, or is about to.
_caught = False
#: Signals that Python is not told of: a server there would stop at once. See ``_server``.
_held: set[int] = set()
#: Those of them that the server does not get back.
_held_for_good: set[int] = set()
#: While Python's table and core's handler change, what came by: it may have met only one of the two (spec 2.5).
_meanwhile: Optional[set[int]] = None


def _is_ours() -> bool:
    return _pid != 0 and _pid == os.getpid()


class changing:
    """While entered, signals that reach our callable wait; afterwards each is sent again, and meets what is there then.

    One that core has heard of as well is not heard of twice: our own is no news once the shutdown has begun.
    """

    def __enter__(self) -> None:
        global _meanwhile
        self._outermost = _meanwhile is None
        if self._outermost:
            _meanwhile = set()

    def __exit__(self, *_: object) -> None:
        global _meanwhile
        if not self._outermost:
            return
        # Runs our callable for what CPython has noted so far.
        _signal.pthread_sigmask(_signal.SIG_BLOCK, ())
        came, _meanwhile = _meanwhile, None
        _send_again(came or set())


def _send_again(came: set[int]) -> None:
    if not came:
        return
    try:
        if in_main():
            _signal.raise_signal(came.pop())
        else:
            os.kill(os.getpid(), came.pop())
    finally:  # the program's handler may raise
        _send_again(came)


def prepare(managed: list[tuple[int, bool, bool, bool]]) -> bool:
    """Before core arms: our callable into Python's table. False outside the main thread, where Python forbids it."""
    global _managed, _pid, _caught
    _leaving.reset()
    _interrupt.reset()
    _managed, _pid, _caught = managed, os.getpid(), False
    _ignored.clear()
    _c_handlers.clear()
    _handled.clear()
    _set_aside.clear()
    _ignored.update(signo for signo, _, ignored, _ in managed if ignored)
    _stops.clear()
    _stops.update(signo for signo, _, _, stops in managed if stops)
    _warned.clear()
    _signal.signal, _signal.getsignal = _signal_, _getsignal
    return _register()


def _register() -> bool:
    # CPython itself says which thread is the main one, by refusing in all others.
    if not _graceshut.reserve(_real_signal, _leaving.on_kick):
        return False
    for signo, even_if_ignored, _, _ in _managed:
        found = _real_getsignal(signo)
        if found is None:
            # Core chains to it, until the program sets a handler of its own.
            _c_handlers.add(signo)
            continue
        # Ignored: nohup's choice, kept by core as well.
        if signo in _view or found == _IGN and signo in _USERS_CHOICE and not even_if_ignored:
            continue
        _view[signo] = found
        foreign = _graceshut.foreign_handler(signo)
        if foreign is not None and not foreign[1]:
            _native.add(signo)
            _graceshut.set_in_table_only(_real_signal, signo, _on_signal)
        else:
            _real_signal(signo, _on_signal)
            if foreign is not None:
                _warn("%s: the handler of %s is not called any more: it would end the process beside the shutdown", _name(signo), foreign[0])
        _tell_core(signo)
    # Core takes this thread's mask for the program's own.
    unblock()
    return True


def _tell_core(signo: int) -> None:
    """What a forked child that is not armed meets: not CPython's handler, which only our callable has put there, and which
    sets a flag that a child on its way to exec never looks at. And which signals the program handles by itself (spec 6.6)."""
    handler = _view.get(signo, _on_signal)
    is_native = signo in _native
    _graceshut.set_outside(int(signo), 2 if is_native else 0 if handler == _DFL else 1 if handler == _IGN else 2)
    callables = {s for s, h in _view.items() if callable(h)}
    own = ({*_native, *_c_handlers, *_handled, *_set_aside} | callables) - _held_for_good
    _graceshut.set_own_handlers(sum(1 << s - 1 for s in own), _interrupt.comes_by(_view.get(_signal.SIGINT)))


def _warn(words: str, *args: object) -> None:
    import logging

    logging.getLogger("graceshut").warning(words, *args)


def armed(runtime: Any) -> None:
    """Core's handler is on top."""
    global _runtime
    _runtime = runtime


def finish_in_main() -> None:
    """For an install made on another thread: the main thread came by."""
    runtime = _runtime
    if runtime is None or not _is_ours() or not runtime._open:
        return
    with changing():
        _register()
        for signo in list(_view):
            if not _is_left_ignored(signo):
                runtime._rearm(signo, signo not in _held)


def stop_signals() -> set[int]:
    """Those that begin the shutdown, without HUP: a server reloads by its own handler for that one, and does not stop."""
    return _stops - {_signal.SIGHUP}


def hold(signals: Iterable[int], for_good: bool = False) -> None:
    """From now on these reach core alone, not Python's handlers and wake-up descriptors, until :func:`release`, or for good."""
    if _runtime is None or not _is_ours():
        return
    for signo in set(signals):
        # Also those that Python has nothing to do with: uWSGI takes a signal that it was started with ignored.
        if _is_left_ignored(signo) or not _graceshut.is_armed(signo):
            continue
        _held.add(signo)
        if for_good:
            _held_for_good.add(signo)
        _runtime._rearm(signo, False)
        _tell_core(signo)


def release(signo: int) -> bool:
    """Ends :func:`hold`, and gives the main thread the signal that was kept from it. On any thread; True when it did."""
    global _held
    held, _held = _held - _held_for_good, set(_held_for_good)
    if not held or _runtime is None or not _is_ours() or not _runtime._open:
        return False
    for one in held:
        _runtime._rearm(one)
    # From ourselves: core knows that this is none of its business (spec 7.1).
    return _graceshut.signal_main(int(signo if signo in held else min(held)))


def is_of_the_parent() -> bool:
    """C code has forked this process and has not told Python of it: what is noted here is the parent's."""
    return _pid not in (0, os.getpid())


def begin_anew() -> None:
    """In such a child. Python's table is the parent's, with our callable in it, and stays as it is."""
    global _meanwhile, _runtime
    _meanwhile, _runtime = None, None
    _interrupt.after_fork()
    _held.clear()
    _held_for_good.clear()


def give_back() -> bool:
    """The plan is over: gives the main thread what was held for good, for the handler of native code. False where there is none."""
    for signo in sorted(_held_for_good):
        _held_for_good.discard(signo)
        _held.discard(signo)
        _runtime._rearm(signo)
        if _graceshut.native_code_hears(signo):
            return _graceshut.signal_main(int(signo))
    return False


def disarm() -> None:
    """After core's handler is gone, or was never put there: Python's table as the program knows it."""
    global _pid, _runtime
    _pid, _runtime = 0, None
    _held.clear()
    _held_for_good.clear()
    _c_handlers.clear()
    _signal.signal, _signal.getsignal = _real_signal, _real_getsignal
    if in_main():
        _graceshut.give_back(_real_signal)
        for signo, handler in list(_view.items()):
            if _real_getsignal(signo) is not _on_signal or handler is None:
                continue
            if signo in _native:
                _graceshut.set_in_table_only(_real_signal, signo, handler)
            else:
                _real_signal(signo, handler)
        signals = list(_view)
        _view.clear()
        _native.clear()
        for signo in signals:
            _tell_core(signo)
    # Elsewhere Python forbids it: the callable stays, and does what the program's own handler would.


def _signal_(signalnum: int, handler: Handler, /) -> Handler:
    """What ``signal.signal`` comes to: for a managed signal it changes whom our callable calls."""
    if _is_ours() and signalnum in _graceshut.reserved() and in_main():
        _real_signal(signalnum, handler)  # raises as it always did
        _graceshut.give_up(int(signalnum))
        return _DFL_ENUM
    if not _is_ours() or signalnum not in _view and signalnum not in _c_handlers or not in_main():
        return _real_signal(signalnum, handler)
    if not callable(handler) and handler not in (_DFL, _IGN):
        return _real_signal(signalnum, handler)  # raises as it always did
    if signalnum in _c_handlers:
        if handler is _handler_of_c:
            return handler
        # As ever, Python's handler takes the place of the one it does not know.
        with changing():
            _c_handlers.discard(signalnum)
            _view[signalnum] = _handler_of_c
            _real_signal(signalnum, _on_signal)
            _put_on_top(signalnum)
    before = _view[signalnum]
    if signalnum in _native:
        # As ever, what Python sets takes the place of what native code has set.
        with changing():
            _native.discard(signalnum)
            _real_signal(signalnum, _on_signal)
            _put_on_top(signalnum)
    (_set_aside.add if handler == _IGN else _set_aside.discard)(signalnum)
    if handler is not _on_signal:
        _view[signalnum] = handler
        _tell_core(signalnum)
    if handler == _IGN and signalnum in _USERS_CHOICE and signalnum not in _held:
        # As long as the program leaves it so, the kernel itself ignores it (spec 3.5).
        _real_signal(signalnum, handler)
        return before
    if _real_getsignal(signalnum) is not _on_signal:
        _real_signal(signalnum, _on_signal)
    if handler == _IGN and signalnum not in _warned | _ignored | _handled:
        _warned.add(signalnum)
        name = _name(signalnum)
        _warn("%s set to SIG_IGN: graceshut still acts on it; install(signals={%r: \"ignore\"}) makes it ignore it", name, name[3:])
    # As the real one: without SA_RESTART, until siginterrupt says otherwise.
    _signal.siginterrupt(signalnum, True)
    _put_on_top(signalnum)
    return before


def _is_left_ignored(signo: int) -> bool:
    return _view.get(signo) == _IGN and _real_getsignal(signo) == _IGN


def _put_on_top(signo: int) -> None:
    if _runtime is not None and _runtime._open:
        _runtime._rearm(int(signo), signo not in _held)


def _getsignal(signalnum: int, /) -> Handler:
    if _is_ours() and signalnum in _view:
        return _view[signalnum]
    if _is_ours() and signalnum in _c_handlers:
        return _handler_of_c
    if _is_ours() and signalnum in _graceshut.reserved():
        return _DFL_ENUM
    return _real_getsignal(signalnum)


def _handler_of_c(signum: int, frame: Optional[FrameType]) -> None:
    """Stands for a handler that C code set before Python began, so that there is an object to give back; Python has None,
    and giving that back is a TypeError. Given back after another one was set it does nothing."""


def _name(signo: int) -> str:
    import signal

    return signal.Signals(signo).name


def _on_signal(signum: int, frame: Optional[FrameType]) -> None:
    """The one callable in Python's table. Runs in the main thread between two instructions, some time after the native
    handler has acted."""
    global _caught
    if _meanwhile is not None:
        _meanwhile.add(signum)
        return
    handler = _view.get(signum, _DFL)
    if not _is_ours():
        return _as_before(signum, frame, handler)
    if signum == _signal.SIGINT and callable(handler) and not _is_swallowed(signum, handler):
        # The program's KeyboardInterrupt comes first, however late this thread is.
        _leaving.interrupted()
    else:
        _leaving.leave_if_due(frame)
    _caught = _caught or signum not in _ignored
    if not _core_has_heard(int(signum)):
        # Not called for a self-sent one: the program's handlers hear of it here. For core it is no news if it has heard.
        _runtime._rearm(int(signum), False)
        _graceshut.signal_main(int(signum))
        _runtime._rearm(int(signum), signum not in _held)
    _hooks.tell_loop()
    if callable(handler) and not _is_swallowed(signum, handler):
        _handled.add(signum)
        handler(signum, frame)


def _core_has_heard(signum: int) -> bool:
    """False where other native code has its handler on top, or had, and hands the signal on to Python (JPype does)."""
    gs = _runtime
    if gs is None or not gs._open:
        return True
    if gs._is_replaced(signum):
        return False
    try:
        return signum not in _stops or bool(gs._level) or bool(gs._wait_level(1, _HEARS_WITHIN))
    except Exception:  # closed by another thread meanwhile
        return True


def leave_if_due() -> None:
    """Between two instructions of the main thread."""
    _leaving.on_kick(0, sys._getframe().f_back)


def _is_swallowed(signum: int, handler: Any) -> bool:
    return signum == _signal.SIGINT and _interrupt.is_swallowed(handler, signum in _ignored)


def _as_before(signum: int, frame: Optional[FrameType], handler: Any) -> None:
    """Uninstalled from another thread: as though graceshut had never been there."""
    _real_signal(signum, handler)
    _view.pop(signum, None)
    if callable(handler):
        handler(signum, frame)
    elif handler == _DFL:
        _signal.raise_signal(signum)


def program_heard_of_one() -> bool:
    """Whether a handler of the program's own was called, ``KeyboardInterrupt`` included: swallowed ones do not count."""
    return bool(_handled & _stops)


_forking = threading.local()


def before_fork() -> None:
    """Between fork and :func:`after_fork` a signal to the child would reach CPython's handler and be forgotten: it waits."""
    if _is_ours() and _view:
        _forking.mask = _signal.pthread_sigmask(_signal.SIG_BLOCK, list(_view))


def unblock() -> None:
    mask, _forking.mask = getattr(_forking, "mask", None), None
    if mask is not None:
        _signal.pthread_sigmask(_signal.SIG_SETMASK, mask)


def after_fork(forker: Optional[FrameType], rearms: bool) -> None:
    """In a forked child: handlers as the program itself has set them, until it installs. ``forker`` called fork.

    What came meanwhile meets them, unless the child ``rearms`` now: then it waits for that, in :func:`_register`.
    """
    global _meanwhile
    # What another thread of the parent was about, and what had come there.
    _meanwhile = None
    _interrupt.after_fork()
    _leaving.after_fork(forker)
    if _pid:
        disarm()
    if not rearms:
        unblock()
