"""``GraceShut``: the one install of this process."""

from __future__ import annotations

import os
import sys
import threading
import time

from . import _exit, _graceshut, _hooks, _hubs, _interrupt, _leaving, _signals, _uwsgi
from ._errors import BY_KIND, Draining
from ._flags import _SLICE, Flag, ring

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, Callable, Iterable, Mapping, Optional, Sequence, TypeVar, Union, overload

    from . import Fork, Seconds
    from ._graceshut import Hook
    from ._listener import Listener

    F = TypeVar("F", bound=Callable[..., Any])

_lock = threading.RLock()
_current: Optional[GraceShut] = None

#: While coroutine hooks run, a waiting main thread looks this often whether their loop still lives.
_SWEEP = 0.1


_VERSION = "%d.%d.%d" % sys.version_info[:3]


def install(options: dict[str, Any]) -> GraceShut:
    options = {key: value for key, value in options.items() if value is not None}
    logging, after_fork = bool(options.pop("logging", True)), options.pop("after_fork", None)
    if "ipykernel" in sys.modules:
        from . import _notebook

        options = _notebook.adapted(options)
    with _lock:
        if not _graceshut.in_main_interpreter():
            raise BY_KIND["unsupported"](
                "a subinterpreter cannot take signals or end the process; install in the main interpreter, before this one is made"
            )
        if after_fork not in (None, "disarm", "rearm"):
            raise BY_KIND["bad_config"]('after_fork = %r: unknown word ("disarm" or "rearm" is wanted here)' % (after_fork,))
        gs = current()
        if gs is not None:
            gs._agree(options)
            if after_fork is not None and after_fork != gs._after_fork:
                words = "graceshut is already installed with other options: after_fork = %r there, %r here; install once, or with the same options"
                raise BY_KIND["disagree"](words % (gs._after_fork, after_fork))
            return gs
        made: list[GraceShut] = []

        def make() -> GraceShut:
            made.append(GraceShut(options, _VERSION, _deliver))
            made[0]._remember(options, logging, after_fork or "disarm")
            return made[0]

        _arm(options, make)
        return made[0]


def _arm(options: dict[str, Any], make: Callable[[], GraceShut]) -> None:
    """Python's table, then core, then the end of the program."""
    global _current
    managed = _graceshut.managed_signals(options)
    if _signals.is_of_the_parent():
        _exit.begin_anew()
        _signals.begin_anew()
    _graceshut.exit_begins(False)
    _hooks.reset()
    _hooks.note_loop()
    _hubs.note()
    with _signals.changing():
        try:
            told = _signals.prepare(managed)
            gs = make()
        except BaseException:
            _signals.disarm()
            raise
        gs._begin()
        _signals.armed(gs)
        if not gs._manual and _uwsgi.serves_here():
            _signals.hold(_signals.stop_signals(), for_good=True)
            _graceshut.set_main_in_c(True)
        _exit.follow(gs)
        _current = gs
    if not told:
        _finish_later()


def _finish_later() -> None:
    import logging

    _graceshut.call_in_main()
    logging.getLogger("graceshut").warning(
        "installed outside the main thread: signals are handled, but Python's own table is only taken care of, and the "
        "main thread can only be told to leave, once it runs some Python code; better call install in the main thread"
    )


class Installed:
    """What :func:`graceshut.installed` gives."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options
        self._gs: Optional[GraceShut] = None

    def __enter__(self) -> GraceShut:
        with _lock:
            if current() is not None:
                raise BY_KIND["disagree"]("graceshut is already installed; installed() makes an install of its own: uninstall first")
            options = {"report": "none", **self._options, "exit": "manual"}
            self._gs = install(options)
            return self._gs

    def __exit__(self, *_: object) -> None:
        gs, self._gs = self._gs, None
        if gs is not None and gs._open:
            if gs.state.startswith("stopping"):
                gs.wait()
            gs.uninstall()


def current() -> Optional[GraceShut]:
    gs = _current
    return gs if gs is not None and gs._open else None


def after_fork() -> Optional[GraceShut]:
    """In a forked child: nothing is installed; gives what its parent wants re-armed."""
    global _lock, _current
    was, _lock, _current = _current, threading.RLock(), None
    return was if was is not None and was._after_fork == "rearm" else None


def _leave_now() -> None:
    """The main thread cannot be left by an exception: what a clean end does, then the C library's exit."""
    import atexit

    gs = current()
    if gs is not None:
        atexit._run_exitfuncs()
        _exit.leave_without_finalising(gs)


def _deliver(event: dict[str, Any]) -> None:
    """Every event, on core's event thread, inside the gate."""
    gs = _current
    if gs is None:
        return
    ring(gs)
    hub = _hubs.of_main()
    if hub is not None:
        # Handlers of logging and callbacks are the program's, and so of its hub.
        try:
            return hub.call(hub.spawn, lambda: _tell(gs, event))
        except Exception:  # a hub that was destroyed
            pass
    _tell(gs, event)


def _tell(gs: GraceShut, event: dict[str, Any]) -> None:
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


def _inherits(fork: Any) -> bool:
    if fork not in ("parent", "inherit"):
        raise BY_KIND["bad_config"]('fork = %r: unknown word ("parent" or "inherit" is wanted here)' % (fork,))
    return bool(fork == "inherit")


def _name_of(fn: Any) -> str:
    while hasattr(fn, "func"):
        fn = fn.func
    name = getattr(fn, "__name__", None) or type(fn).__name__
    return "hook" if name == "<lambda>" else name


class Track:
    """One unit of work in flight, as a context manager; raises Draining when work is refused."""

    __slots__ = ("_enter", "leave")

    def __init__(self, enter: Callable[[], bool], leave: Callable[[], None]) -> None:
        self._enter = enter
        #: Counts the unit out; what the end of the block does.
        self.leave: Callable[[], None] = leave

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

    def _remember(self, options: dict[str, Any], logging: bool, after_fork: str) -> None:
        """What a re-armed child needs as well."""
        self._options, self._logs, self._after_fork = options, logging, after_fork
        self._serving = bool(options.get("serving", False))
        self._callbacks: list[Callable[[dict[str, Any]], object]] = []
        self._inherited_callbacks: list[Callable[[dict[str, Any]], object]] = []
        #: How each hook whose policy is "inherit" is registered again; by its number.
        self._inherited: dict[int, Callable[[], object]] = {}
        self._inherited_reloads: list[Callable[[], object]] = []

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._waiters: set[Any] = set()
        self._told = _graceshut.Event()
        #: True from the trigger on: readiness is red, work is still accepted.
        self.stopping: Flag = Flag(self, 1, "stopping")
        #: True from the start of ``drain`` on: new work is refused.
        self.draining: Flag = Flag(self, 2, "draining")
        #: True when every phase is over.
        self.stopped: Flag = Flag(self, 3, "stopped")

    # ---- hooks

    if TYPE_CHECKING:

        @overload
        def hook(
            self, phase: str, fn: None = None, *, name: Optional[str] = None, timeout: Seconds = None,
            after: Union[str, Iterable[str]] = (), optional: bool = False, fork: Fork = "parent",
        ) -> Callable[[F], F]: ...
        @overload
        def hook(
            self, phase: str, fn: Callable[..., Any], *, name: Optional[str] = None, timeout: Seconds = None,
            after: Union[str, Iterable[str]] = (), optional: bool = False, fork: Fork = "parent",
        ) -> Hook: ...

    def hook(
        self, phase: Any, fn: Any = None, *, name: Any = None, timeout: Any = None, after: Any = (), optional: Any = False,
        fork: Any = "parent",
    ) -> Any:
        """Registers a hook: ``@gs.hook("drain", timeout=8)`` above a function or coroutine function, which stays what it
        was; or ``gs.hook("drain", fn)``, which gives the handle.

        The function takes the context, or nothing. ``timeout`` in seconds; it never gets more than its phase has left.
        ``after``: names of hooks of the same phase. ``optional`` keeps its outcome out of the result. ``fork``: "inherit"
        registers it in a re-armed child too, "parent" only here. May be called on any thread, also during a shutdown, for
        the phase under way or a later one; never blocks.

        Raises UnknownPhase, BadTime, BadValue, BadConfig, Cycle, TooLate, Closed.
        """
        spec = {"phase": phase, "timeout": timeout, "after": after or None, "optional": optional, "fork": fork}

        def add(fn: Any) -> Hook:
            full = {**spec, "name": name if name is not None else _name_of(fn)}
            return self._registered(fork, lambda: self._hook(full, _hooks.body(fn)))

        if fn is not None:
            return add(fn)

        def decorate(fn: Any) -> Any:
            add(fn)
            return fn

        return decorate

    def _registered(self, fork: Any, add: Callable[[], Hook]) -> Hook:
        hook = add()
        if fork == "inherit":
            number = hook.id
            self._inherited[number] = lambda: self._registered(fork, add)
            hook._on_removed(lambda: self._inherited.pop(number, None))
        return hook

    def _kind(self, kind: str, what: Any, phase: Any, common: dict[str, Any]) -> Hook:
        unknown = set(common) - {"name", "timeout", "after", "optional", "fork"}
        if unknown:
            raise TypeError("unexpected keyword argument %r" % sorted(unknown)[0])
        if what is None:
            raise BY_KIND["null"]("%s: what to do is missing" % kind)
        spec = {"phase": phase, **common, "after": common.get("after") or None, kind: what}
        return self._registered(common.get("fork"), lambda: self._declare(spec))

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

    def wasm(
        self, phase: str, file: Any, *, env: Union[Mapping[str, str], Sequence[str], None] = None,
        args: Optional[Sequence[str]] = None, dirs: Optional[Mapping[str, str]] = None, http: Optional[Sequence[str]] = None,
        clock: bool = False, random: bool = False, config: Optional[Mapping[str, str]] = None,
        memory: Union[str, int, None] = None, fuel: Optional[int] = None, **common: Any,
    ) -> Hook:
        """A WebAssembly module: sandboxed, stopped for real at its deadline, run without the interpreter.

        Everything is denied but ``env`` (names and values, or names whose values are this process's), ``args``, ``dirs`` (name
        in the guest: folder, with ``:rw`` at its end to write), ``http`` (``"PUT 127.0.0.1:8500"``), ``clock`` and ``random``. ``config``: texts it reads by name. ``memory``: at most so much, ``"16MiB"`` unless said;
        ``fuel``: a second cap, about one unit an instruction. The name is the file's unless ``name`` says another.

        Reads and checks the file (milliseconds), and compiles it in the background. Raises BadValue for what is wrong with the
        module or a grant, OSError for what cannot be read, Unsupported in a build without it, and what :meth:`hook` raises.
        """
        what = {
            "path": file, "env": env, "args": args, "dirs": dirs, "http": http, "clock": clock, "random": random,
            "config": config, "memory": memory, "fuel": fuel,
        }
        return self._kind("wasm", what if file is not None else None, phase, common)

    def listener(
        self, listener: Any, close: Optional[Callable[[], Any]], refuse: Optional[Callable[[], Any]] = None, name: str = "server"
    ) -> Listener:
        """Any server: its listener is closed as part of the plan, without a reset (spec 9.4), and its requests are counted.

        listener: its listening socket, a list of them, a descriptor, an asyncio ``Server``, or what has ``.sockets``,
            ``.socket`` or ``.fileno()``; None: every listening socket of the process, except the admin endpoint's.
        close: the server's own stop, which closes the listener; it may block or be a coroutine function. Called in ``drain``
            once what was counted in with ``enter`` is counted out (some servers' stop would cut it) and nobody waits in the
            accept queue, and in any case before the hook's soft deadline. None: the server hears the signal itself, which is
            kept from it until then.
        refuse: called when ``drain`` begins, for servers that must be told to answer 503.

        Both run on the event loop that runs where this is called, else on a worker. ``drain`` then waits for what is still in
        flight. Sets ``serving``; never blocks.

        Raises BadValue, TooLate, Closed.
        """
        from ._listener import Listener

        return Listener(self, listener, close, refuse, name)

    if TYPE_CHECKING:

        @overload
        def on_reload(self, fn: None = None, *, name: Optional[str] = None, fork: Fork = "parent") -> Callable[[F], F]: ...
        @overload
        def on_reload(self, fn: F, *, name: Optional[str] = None, fork: Fork = "parent") -> F: ...

    def on_reload(self, fn: Any = None, *, name: Any = None, fork: Any = "parent") -> Any:
        """Calls ``fn()`` (sync or async) for each reload, one at a time: SIGHUP, unless mapped otherwise.

        Reloads that come meanwhile make one more; what it raises is told as an event. ``fork`` as for :meth:`hook`.

        Raises BadValue, BadConfig, NotUtf8, Closed.
        """
        inherit = _inherits(fork)

        def add(fn: Any) -> Any:
            call, _ = _hooks.call_of(fn)
            _hooks.note_loop()
            words = name if name is not None else _name_of(fn)

            def register() -> None:
                self._on_reload(words, lambda: _hooks.run_reload(lambda: call(None)))

            register()
            if inherit:
                self._inherited_reloads.append(register)
            return fn

        return add if fn is None else add(fn)

    def on_event(
        self, callback: Callable[[dict[str, Any]], object], *, fork: Fork = "parent"
    ) -> Callable[[dict[str, Any]], object]:
        """Calls ``callback(event)`` with every event as a dict, one at a time, on a thread of its own.

        ``event["event"]`` says what happened; times in it are integer microseconds. ``fork`` as for :meth:`hook`.

        Raises BadValue, Null, BadConfig, Closed.
        """
        self._check_open()
        inherit = _inherits(fork)
        if not callable(callback):
            raise BY_KIND["null" if callback is None else "bad_value"]("an event callback is a function, not %r" % (callback,))
        self._callbacks.append(callback)
        if inherit:
            self._inherited_callbacks.append(callback)
        return callback

    # ---- work in flight

    def track(self, group: Optional[str] = None) -> Track:
        """``with gs.track():`` or ``async with gs.track():`` counts one unit of work in and out, on any thread.

        ``group``: counted in that named group as well kept apart (see :meth:`group`). Entering it raises Draining from the
        start of ``drain`` on; it never blocks. Raises BadValue, NotUtf8, Closed for a group.
        """
        if group is not None:
            return self.group(group).track()
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

    # ---- after fork

    def rearm(self) -> GraceShut:
        """In a forked child whose parent installed this: arms it here, as ``after_fork="rearm"`` does by itself.

        The same object serves the child from then on, with the options of the parent's install, threads of its own, no work
        in flight, and only those hooks that were registered with ``fork="inherit"``. Does nothing where it is armed already.
        Call it in the thread that forked, before that child's servers and loops start.

        Raises Closed where it was uninstalled, Disagree where the child has installed another one, Os.
        """
        with _lock:
            if self._open:
                return self
            if self._pid == os.getpid():
                self._check_open()
            if current() is not None:
                raise BY_KIND["disagree"]("this process has an install of its own; use graceshut.current()")
            _arm(self._options, self._revived)
            return self

    def _revived(self) -> GraceShut:
        again, self._inherited = list(self._inherited.values()), {}
        reloads, self._callbacks = list(self._inherited_reloads), list(self._inherited_callbacks)
        self._revive(self._options, _VERSION, _deliver)
        if self._serving:
            self._set_serving(True)
        try:
            for register in (*again, *reloads):
                register()
        except BY_KIND["too_late"]:
            pass  # a signal was faster: the child ends before it has done anything
        except BaseException:
            self._uninstall()
            raise
        return self

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
        hub = _hubs.here()
        with _interrupt.waiting():
            return self._wait_loop(until, True) if hub is None else self._wait_in_hub(hub, until)

    def _wait_in_hub(self, hub: _hubs.Hub, until: Optional[float]) -> int:
        """In the main thread, while its other greenlets run. It leaves by itself right after."""
        self._leaver(True)
        try:
            while True:
                left = None if until is None else until - time.monotonic()
                if not self.stopped._wait_here(left):
                    raise BY_KIND["timeout"]("the shutdown is not over yet")
                # The report is being written.
                code = self._wait(0.0, False)
                if code is not None:
                    self._wait_told(0.05)
                    _leaving.by_itself()
                    return code
                hub.sleep(0.002)
        finally:
            self._leaver(False)

    def _wait_told(self, seconds: float) -> None:
        """The last event has reached logging and callbacks, or its time is over."""
        hub = _hubs.here()
        if hub is None:
            self._told.wait(seconds)
            return
        until = time.monotonic() + seconds
        while not self._told.is_set() and time.monotonic() < until:
            hub.sleep(0.002)

    def _wait_loop(self, until: Optional[float], main: bool) -> int:
        while True:
            part = _SWEEP if _hooks._pending else _SLICE
            left = part if until is None else min(part, until - time.monotonic())
            code = self._wait(max(left, 0.0), main)
            if code is not None:
                if main:
                    # Whoever waits in the main thread is the one who leaves.
                    self._wait_told(0.05)
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
        with _lock, _signals.changing():
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
