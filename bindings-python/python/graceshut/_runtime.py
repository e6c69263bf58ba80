"""``GraceShut``: the one install of this process."""

from __future__ import annotations

import sys
import threading
import time

from . import _exit, _graceshut, _hooks, _signals
from ._errors import BY_KIND, Draining
from ._flags import _SLICE, Flag, ring

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, Callable, Iterable, Mapping, Optional, Sequence, TypeVar, Union, overload

    from . import Seconds
    from ._graceshut import Hook

    F = TypeVar("F", bound=Callable[..., Any])

_lock = threading.RLock()
_current: Optional[GraceShut] = None

#: While coroutine hooks run, a waiting main thread looks this often whether their loop still lives.
_SWEEP = 0.1


def install(options: dict[str, Any], logging: bool) -> GraceShut:
    global _current
    with _lock:
        gs = current()
        if gs is not None:
            gs._agree(options)
            return gs
        managed = _graceshut.managed_signals(options)
        _graceshut.exit_begins(False)
        _hooks.reset()
        _hooks.note_loop()
        told = _signals.prepare(managed)
        try:
            gs = GraceShut(options, "%d.%d.%d" % sys.version_info[:3], True, _deliver)
        except BaseException:
            _signals.disarm()
            raise
        gs._begin(logging, options)
        _signals.armed(gs)
        _exit.follow(gs)
        _current = gs
        if not told:
            _finish_later()
        return gs


def _finish_later() -> None:
    import logging

    _graceshut.call_in_main()
    logging.getLogger("graceshut").warning(
        "installed outside the main thread: signals are handled, but Python's own table is only taken care of, and the "
        "main thread can only be told to leave, once it runs some Python code; better call install in the main thread"
    )


def current() -> Optional[GraceShut]:
    gs = _current
    return gs if gs is not None and gs._open else None


def _after_fork() -> None:
    global _lock, _current
    _lock, _current = threading.RLock(), None


def _deliver(event: dict[str, Any]) -> None:
    """Every event, on core's event thread, inside the gate."""
    gs = _current
    if gs is None:
        return
    ring(gs)
    if gs._logs:
        from . import _events

        _events.log(event)
    for callback in tuple(gs._callbacks):
        try:
            callback(dict(event))
        except Exception:
            import logging

            logging.getLogger("graceshut").exception("an event callback failed")
    if event["event"] == "finished":
        gs._told.set()


def _name_of(fn: Any) -> str:
    while hasattr(fn, "func"):
        fn = fn.func
    name = getattr(fn, "__name__", None) or type(fn).__name__
    return "hook" if name == "<lambda>" else name


class Track:
    """One unit of work in flight, as a context manager; raises Draining when work is refused."""

    __slots__ = ("_enter", "leave")

    def __init__(self, enter: Callable[[], bool], leave: Callable[[], None]) -> None:
        self._enter, self.leave = enter, leave

    def __enter__(self) -> Track:
        if not self._enter():
            raise Draining("work is refused: the process is draining")
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()

    async def __aenter__(self) -> Track:
        return self.__enter__()

    async def __aexit__(self, *_: object) -> None:
        self.leave()


class Group(_graceshut.Group):
    """A named group of work in flight."""

    def track(self) -> Track:
        """``with group.track():`` counts one unit of work in and out."""
        return Track(self.enter, self.leave)


class GraceShut(_graceshut.Runtime):
    """The one install of this process; made by :func:`graceshut.install`. Every method may be called on any thread."""

    def _begin(self, logging: bool, options: Mapping[str, Any]) -> None:
        self._logs = logging
        self._callbacks: list[Callable[[dict[str, Any]], object]] = []
        self._waiters: set[Any] = set()
        self._told = threading.Event()
        self._serving = bool(options.get("serving", False))
        #: True from the trigger on: readiness is red, work is still accepted.
        self.stopping = Flag(self, 1, "stopping")
        #: True from the start of ``drain`` on: new work is refused.
        self.draining = Flag(self, 2, "draining")
        #: True when every phase is over.
        self.stopped = Flag(self, 3, "stopped")

    # ---- hooks

    if TYPE_CHECKING:

        @overload
        def hook(
            self, phase: str, fn: None = None, *, name: Optional[str] = None, timeout: Seconds = None,
            after: Union[str, Iterable[str]] = (), optional: bool = False,
        ) -> Callable[[F], F]: ...
        @overload
        def hook(
            self, phase: str, fn: Callable[..., Any], *, name: Optional[str] = None, timeout: Seconds = None,
            after: Union[str, Iterable[str]] = (), optional: bool = False,
        ) -> Hook: ...

    def hook(self, phase: Any, fn: Any = None, *, name: Any = None, timeout: Any = None, after: Any = (), optional: Any = False) -> Any:
        """Registers a hook: ``@gs.hook("drain", timeout=8)`` above a function or coroutine function, which stays what it
        was; or ``gs.hook("drain", fn)``, which gives the handle.

        The function takes the context, or nothing. ``timeout`` in seconds; it never gets more than its phase has left.
        ``after``: names of hooks of the same phase. ``optional`` keeps its outcome out of the result.

        Raises UnknownPhase, BadTime, BadValue, BadConfig, Cycle, TooLate, Closed.
        """
        spec = {"phase": phase, "timeout": timeout, "after": after or None, "optional": optional}

        def add(fn: Any) -> Hook:
            return self._hook({**spec, "name": name if name is not None else _name_of(fn)}, _hooks.body(fn))

        if fn is not None:
            return add(fn)

        def decorate(fn: Any) -> Any:
            add(fn)
            return fn

        return decorate

    def _kind(self, kind: str, what: Any, phase: Any, common: dict[str, Any]) -> Hook:
        unknown = set(common) - {"name", "timeout", "after", "optional"}
        if unknown:
            raise TypeError("unexpected keyword argument %r" % sorted(unknown)[0])
        if what is None:
            raise BY_KIND["null"]("%s: what to do is missing" % kind)
        return self._declare({"phase": phase, **common, "after": common.get("after") or None, kind: what})

    def exec_hook(
        self, phase: str, argv: Sequence[str], *, env: Optional[Mapping[str, str]] = None, dir: Any = None, **common: Any
    ) -> Hook:
        """A command: TERM to its process group at the soft deadline, KILL at the hard one. Needs no interpreter to run."""
        return self._kind("exec", {"argv": argv, "env": env, "dir": dir} if argv is not None else None, phase, common)

    def http_hook(
        self, phase: str, url: str, *, method: Optional[str] = None, headers: Optional[Mapping[str, str]] = None,
        body: Optional[str] = None, accept: Optional[Sequence[int]] = None, **common: Any,
    ) -> Hook:
        """One HTTP request (POST unless said otherwise). ``accept``: statuses that are fine besides 2xx."""
        what = {"url": url, "method": method, "headers": headers, "body": body, "accept": accept}
        return self._kind("http", what if url is not None else None, phase, common)

    def delay_hook(self, phase: str, seconds: Any, **common: Any) -> Hook:
        """A pause; cut short it still ends ok."""
        return self._kind("delay", seconds, phase, common)

    def inflight_hook(self, phase: str, group: str, **common: Any) -> Hook:
        """Waits until a named group of work in flight is empty."""
        return self._kind("inflight", group, phase, common)

    def signal_hook(
        self, phase: str, signal: Any = "TERM", *, pid: Optional[int] = None, pidfile: Any = None, wait: bool = False, **common: Any
    ) -> Hook:
        """Sends a signal to another process; with ``wait``, until that is gone."""
        number = str(int(signal)) if isinstance(signal, int) else signal
        return self._kind("signal", {"signal": number, "pid": pid, "pidfile": pidfile, "wait": wait}, phase, common)

    if TYPE_CHECKING:

        @overload
        def on_reload(self, fn: None = None, *, name: Optional[str] = None) -> Callable[[F], F]: ...
        @overload
        def on_reload(self, fn: F, *, name: Optional[str] = None) -> F: ...

    def on_reload(self, fn: Any = None, *, name: Any = None) -> Any:
        """Calls ``fn()`` (sync or async) for each reload, one at a time: SIGHUP, unless mapped otherwise."""

        def add(fn: Any) -> Any:
            call, _ = _hooks.call_of(fn)
            _hooks.note_loop()
            self._on_reload(name if name is not None else _name_of(fn), lambda: _hooks.run_reload(lambda: call(None)))
            return fn

        return add if fn is None else add(fn)

    def on_event(self, callback: Callable[[dict[str, Any]], object]) -> Callable[[dict[str, Any]], object]:
        """Calls ``callback(event)`` with every event as a dict, one at a time, on a thread of its own."""
        self._check_open()
        if not callable(callback):
            raise BY_KIND["null" if callback is None else "bad_value"]("an event callback is a function, not %r" % (callback,))
        self._callbacks.append(callback)
        return callback

    # ---- work in flight

    def track(self) -> Track:
        """``with gs.track():`` or ``async with gs.track():`` counts one unit of work in and out; raises Draining."""
        return Track(self.enter, self.leave)

    def group(self, name: str) -> Group:
        """A named group of work in flight, made when first asked for; at most 64."""
        self._check_open()
        return Group(name)

    @property
    def serving(self) -> bool:
        """Set it when this process accepts connections: it then keeps serving for a while after readiness turned red."""
        return self._serving

    @serving.setter
    def serving(self, serving: bool) -> None:
        self._check_open()
        self._serving = bool(serving)
        self._set_serving(bool(serving))

    # ---- the end

    def _check_open(self) -> None:
        if not self._open:
            raise BY_KIND["closed"]("this runtime was uninstalled, or belongs to the parent process; call install again")

    def wait(self, timeout: Seconds = None) -> int:
        """Blocks until every phase is over and the report is written; gives the exit status: ``sys.exit(gs.wait())``.

        The KeyboardInterrupt of the Ctrl-C that starts the shutdown is not raised while the main thread waits here.

        Raises Timeout when ``timeout`` seconds passed first, WrongThread inside a hook, Closed.
        """
        if _hooks.inside():
            raise BY_KIND["wrong_thread"]("wait inside a hook would wait for itself; use ctx.remaining")
        limit = self._seconds(timeout, "timeout")
        until = None if limit is None else time.monotonic() + limit
        if not _signals.in_main():
            return self._wait_loop(until, False)
        with _signals.waiting():
            return self._wait_loop(until, True)

    def _wait_loop(self, until: Optional[float], main: bool) -> int:
        while True:
            part = _SWEEP if _hooks._pending else _SLICE
            left = part if until is None else min(part, until - time.monotonic())
            code = self._wait(max(left, 0.0), main)
            if code is not None:
                if main:
                    # Whoever waits in the main thread is the one who leaves.
                    self._told.wait(0.05)
                return code
            if _hooks._pending:
                _hooks.sweep()
            if until is not None and time.monotonic() >= until:
                raise BY_KIND["timeout"]("the shutdown is not over yet")

    def _leaver(self, waits: bool) -> None:
        _graceshut.set_leaver(waits)

    def uninstall(self) -> None:
        """Ends the install: handlers back, threads ended, this handle and its hooks closed. For tests and manual mode.

        Raises TooLate during a shutdown, WrongThread inside a hook, Closed.
        """
        global _current
        if _hooks.inside():
            raise BY_KIND["wrong_thread"]("uninstall inside a hook; call it after wait")
        with _lock:
            self._uninstall()
            _signals.disarm()
            _exit.forget()
            if _current is self:
                _current = None

    def __enter__(self) -> GraceShut:
        return self

    def __exit__(self, kind: Optional[type[BaseException]], error: Optional[BaseException], tb: Optional[TracebackType]) -> None:
        if self._open and (self._manual or self.state == "armed"):
            self.uninstall()
