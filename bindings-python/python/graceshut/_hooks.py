"""Running hooks: sync functions on the worker they are called on, coroutines on the program's event loop (asyncio, trio).

Which loop: the one that ran where the hook was registered, if it still runs; else the one graceshut last saw running (it
looks whenever it is called inside one, and in the main thread when a signal arrives); else a loop of the hook's own.
"""

from __future__ import annotations

import sys
from contextvars import ContextVar

from . import _graceshut, _hubs, _loops
from ._graceshut import Event

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Optional

    from ._graceshut import Context, Done
    from ._loops import Loop

_CO_COROUTINE = 0x80

#: True inside a hook: ``wait`` there would wait for itself.
_inside: ContextVar[bool] = ContextVar("graceshut_inside_hook", default=False)
_loop: Optional[Loop] = None
#: The main thread came by after the trigger and has told whether a loop runs there.
_told = Event()
_pending: set[_Job] = set()
#: Coroutine hooks that have not ended yet, and the loop each was registered in. A loop's end waits for them.
_to_run: dict[object, Optional[Loop]] = {}
#: Threads in which a hook runs on a loop of its own. Such a loop ends with its hook, so nothing else is given to it.
_private: set[int] = set()


def inside() -> bool:
    return _inside.get()


def reset() -> None:
    global _loop, _told
    _loop, _told = None, Event()
    _pending.clear()
    _to_run.clear()
    _private.clear()
    # A fork inside a hook: the child is not.
    _inside.set(False)
    _hubs.reset()


def note_loop() -> Optional[Loop]:
    """Remembers the program's loop that runs in this thread, if one does."""
    global _loop
    if _graceshut.thread_id() in _private:
        return None
    loop = _loops.running()
    if loop is not None:
        _loop = loop
    return loop


def tell_loop() -> None:
    """In the main thread, after a signal: whether a loop runs there is known now."""
    loop = note_loop()
    _hubs.note()
    _told.set()
    if isinstance(loop, _loops.Asyncio) and _to_run:
        loop.is_held_open()


def hold(loop: Any) -> bool:
    """Whether the asyncio loop is to live on, since hooks are still to run on it in the shutdown under way."""
    from . import _runtime, _signals

    gs = _runtime.current()
    if gs is None or not any(isinstance(home, _loops.Asyncio) and home.loop is loop for home in _homes()):
        return False
    # A signal that Python has seen already begins the shutdown, even if the engine's thread gets to it only now.
    return 1 <= gs._level < 3 or gs._level == 0 and _signals._caught


def _homes() -> list[Optional[Loop]]:
    return [job.loop for job in list(_pending)] + [home or _loop for home in list(_to_run.values())]


def drive_loops() -> None:
    """The main thread ends: loops of its that were stopped and not closed run on until their hooks are over."""
    for home in {id(home.loop): home for home in _homes() if isinstance(home, _loops.Asyncio)}.values():
        if not home.is_closed() and not home.is_running() and hold(home.loop):
            home.drive()


def _arity(fn: Any) -> tuple[int, str]:
    """How many positional parameters have no default, and the first one's name."""
    bound = 1 if getattr(fn, "__self__", None) is not None else 0
    plain = getattr(fn, "__func__", fn)
    code = getattr(plain, "__code__", None)
    if code is not None and not hasattr(plain, "__wrapped__"):
        # Without `inspect`, whose import costs more than everything here.
        count = code.co_argcount - bound
        required = count - len(plain.__defaults__ or ())
        return max(required, 0), code.co_varnames[bound] if count > 0 else ""
    import inspect

    try:
        parameters = list(inspect.signature(fn).parameters.values())
    except (TypeError, ValueError):  # a builtin that does not tell
        return 0, ""
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    required = [p for p in positional if p.default is p.empty]
    return len(required), positional[0].name if positional else ""


def _takes_context(fn: Any) -> bool:
    required, first = _arity(fn)
    if required > 1:
        from ._errors import BY_KIND

        raise BY_KIND["bad_value"]("a hook takes the context or nothing; this one wants %d arguments" % required)
    return required == 1 or first in ("ctx", "context")


def _is_coroutine_function(fn: Any) -> bool:
    while hasattr(fn, "func"):  # functools.partial
        fn = fn.func
    for candidate in (fn, getattr(type(fn), "__call__", None)):
        code = getattr(getattr(candidate, "__func__", candidate), "__code__", None)
        if code is not None:
            return bool(code.co_flags & _CO_COROUTINE)
    return False


def call_of(fn: Any) -> tuple[Callable[[Any], Any], bool]:
    """``fn`` as a function of the context, and whether it gives a coroutine."""
    if not callable(fn):
        from ._errors import BY_KIND

        kind = "null" if fn is None else "bad_value"
        raise BY_KIND[kind]("a hook is a function or a coroutine function, not %r" % (fn,))
    takes = _takes_context(fn)
    return (fn if takes else lambda ctx: fn()), _is_coroutine_function(fn)


def body(fn: Any) -> Callable[[Context, Done], None]:
    """What core calls on a worker, with the GIL."""
    call, is_async = call_of(fn)
    _hubs.note()
    if not is_async:
        return lambda ctx, done: _run(lambda: _run_sync(call, ctx, done), ctx)
    registered_in, number = note_loop(), object()
    _to_run[number] = registered_in
    return lambda ctx, done: _run_async(call, registered_in, ctx, done, number)


def describe(error: BaseException) -> str:
    words = str(error)
    name = type(error).__name__
    return "%s: %s" % (name, words) if words else name


def _end(done: Done, error: Optional[BaseException]) -> None:
    if error is None:
        done.ok()
    elif isinstance(error, SystemExit):
        code = error.code
        if code is None or isinstance(code, int):
            done.exit(int(code or 0))
        else:
            done.failed("exit called with: %s" % (code,))
    elif _loops.is_cancelled(error):
        done.cancelled()
    else:
        logging = sys.modules.get("logging")
        if logging is not None:
            logging.getLogger("graceshut").debug("a hook failed", exc_info=error)
        done.failed(describe(error))


def _run(job: Callable[[], None], ctx: Context) -> None:
    """In the main thread's hub where there is one, else here."""
    hub = _hubs.of_main()
    if hub is None or not _hubs.run(hub, job, ctx):
        job()


def _run_sync(call: Callable[[Context], Any], ctx: Context, done: Done) -> None:
    if not done.begin():
        return
    token = _inside.set(True)
    try:
        result = call(ctx)
    except BaseException as error:
        _end(done, error)
    else:
        if hasattr(result, "__await__"):
            # A plain function that gave a coroutine (a lambda, a partial): it has begun, so it runs here and now.
            _Job(lambda _: result, ctx, done, None).run_here(begun=True)
        else:
            _end(done, None)
    finally:
        _inside.reset(token)


_LOOP_GONE = "the event loop was closed while the hook ran; await gs.stopped.wait() before leaving it"


def _find_loop(registered_in: Optional[Loop], ctx: Context) -> Optional[Loop]:
    if registered_in is not None and registered_in.is_running():
        return registered_in
    if _loop is None and ctx.reason.kind == "signal" and ("asyncio" in sys.modules or "trio" in sys.modules):
        # The main thread is about to run its handler, or just has.
        _told.wait(0.05)
    loop = _loop
    return loop if loop is not None and loop.is_running() else None


def _run_async(call: Callable[[Context], Any], registered_in: Optional[Loop], ctx: Context, done: Done, number: object) -> None:
    _to_run.pop(number, None)
    job = _Job(call, ctx, done, _find_loop(registered_in, ctx))
    if job.loop is None:
        # None runs: one of the kind the program has used.
        job.loop = registered_in if registered_in is not None else _loop
        return _run(job.run_here, ctx)
    _pending.add(job)
    try:
        job.loop.call(job.start)
    except RuntimeError:  # closed in this moment
        _pending.discard(job)
        job.run_here()


class _Job:
    """One coroutine hook."""

    def __init__(self, call: Callable[[Context], Any], ctx: Context, done: Done, loop: Optional[Loop]) -> None:
        self.call, self.ctx, self.done, self.loop = call, ctx, done, loop
        self.stop: Optional[Callable[[], None]] = None
        #: The body's time has begun; the body itself has.
        self.begun = self.entered = False

    def start(self) -> None:
        """In the loop's thread: only now has the body begun, so that a blocked loop is told apart from a slow hook."""
        self.begun = True
        if not self.done.begin():
            _pending.discard(self)
            return
        try:
            self.stop = self.loop.spawn(self.run)  # type: ignore[union-attr]
        except RuntimeError:  # trio takes no new tasks any more
            _pending.discard(self)
            self.move()
        else:
            self.ctx.on_cancel(self.cancel)

    def move(self) -> None:
        """Its loop has ended before the body began."""
        _graceshut.spawn(lambda: self.run_here(self.begun))

    def cancel(self) -> None:
        """The soft deadline, on a worker."""
        try:
            if self.stop is not None:
                self.stop()
        except RuntimeError:
            pass  # the loop is closed; `sweep` ends the hook

    async def run(self) -> None:
        _inside.set(True)
        self.entered = True
        try:
            await self.call(self.ctx)
        except BaseException as error:
            # SystemExit too: raised on, it would end the program's loop.
            if isinstance(self.loop, _loops.Trio) and _loops.is_cancelled(error) and not self.ctx.cancelled:
                # trio's run ends, and takes our task with it.
                self.done.failed(_LOOP_GONE)
                return
            by = self.loop.cancelled_by() if isinstance(self.loop, _loops.Asyncio) and _loops.is_cancelled(error) else None
            if by is not None and not self.ctx.cancelled:
                self.done.failed("cancelled by the program, not by graceshut: in %s" % by)
            else:
                _end(self.done, error)
        else:
            _end(self.done, None)
        finally:
            _pending.discard(self)

    def run_here(self, begun: bool = False) -> None:
        """On a loop of its own, in this thread; of the kind of ``self.loop``."""
        if not begun and not self.done.begin():
            return
        self.begun = True

        async def run(loop: Loop, stop: Callable[[], None]) -> None:
            self.loop, self.stop = loop, stop
            self.ctx.on_cancel(self.cancel)
            await self.run()

        thread = _graceshut.thread_id()
        _private.add(thread)
        try:
            (_loops.Trio if isinstance(self.loop, _loops.Trio) else _loops.Asyncio).run_own(run)
        except BaseException as error:  # the loop itself failed; the hook's own end came first if there was one
            _end(self.done, error)
        finally:
            _private.discard(thread)


def sweep() -> None:
    """Ends or moves what was given to a loop that was closed meanwhile."""
    for job in list(_pending):
        if job.loop is not None and job.loop.is_closed():
            _pending.discard(job)
            if job.entered:
                job.done.failed(_LOOP_GONE)
            else:
                job.move()


def run_reload(fn: Any) -> None:
    """A reload hook, on a worker."""
    result = fn()
    if not hasattr(result, "__await__"):
        return
    loop, over = _loop, Event()
    failed: list[BaseException] = []

    async def wait() -> None:
        try:
            await result
        except BaseException as error:
            failed.append(error)
        finally:
            over.set()

    async def here(_loop: Loop, _stop: Callable[[], None]) -> None:
        await wait()

    if loop is not None and loop.is_running():
        kept: list[Any] = []  # a loop refers to its tasks only weakly

        def start() -> None:
            try:
                kept.append(loop.spawn(wait))
            except RuntimeError as error:  # trio takes no new tasks any more
                failed.append(error)
                over.set()

        loop.call(start)
        while not over.wait(1.0):
            if loop.is_closed():
                raise RuntimeError("the event loop was closed while the reload hook ran")
    else:
        (_loops.Trio if isinstance(loop, _loops.Trio) else _loops.Asyncio).run_own(here)
    if failed:
        raise failed[0]
