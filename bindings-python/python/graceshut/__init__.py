"""Graceful shutdown: one signal handler, ordered time-boxed phases, one deadline, even while the GIL is held.

    gs = graceshut.install(grace=25)

    @gs.hook("flush", timeout=8)
    def write_buffers(ctx):
        ...

    sys.exit(gs.wait())

Importing does nothing: no thread, no handler. Times are seconds, ``timedelta`` or text such as ``"500ms"``.
"""

from __future__ import annotations

from ._errors import *  # noqa: F401,F403
from ._graceshut import Context, Hook, Reason, __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import timedelta
    from os import PathLike
    from typing import Any, Literal, Mapping, Optional, Sequence, TypedDict, Union

    from typing_extensions import Unpack  # for checkers only: nothing is imported when the program runs

    from ._flags import Flag, Waited
    from ._listener import Listener
    from ._runtime import GraceShut, Group, Installed, Track

    Seconds = Union[int, float, str, timedelta, None]
    Action = Literal["stop", "reload", "status", "ignore", "default"]
    AfterFork = Literal["disarm", "rearm"]
    Fork = Literal["parent", "inherit"]

    class Options(TypedDict, total=False):
        """Keywords of :func:`install`: the keys of ``graceshut.toml`` and two of Python's own."""

        grace: Seconds
        grace_normal: Seconds
        already_spent: Seconds
        announce_delay: Seconds
        serving: Optional[bool]
        signals: Optional[Mapping[Union[str, int], Union[Action, Mapping[str, Any]]]]
        repeat: Optional[Literal["expedite", "interactive", "orchestrated"]]
        exit: Optional[Literal["host", "reraise", "manual"]]
        leave: Optional[Literal["auto", "at_once", "by_itself"]]
        exit_code_clean: Optional[int]
        exit_code_degraded: Optional[int]
        exit_code_forced: Optional[int]
        exit_cap: Seconds
        watchdog: Optional[bool]
        max_workers: Optional[int]
        report: Optional[Union[str, PathLike[str]]]
        systemd_extend: Optional[bool]
        inflight: Optional[bool]
        hold: Optional[bool]
        admin: Optional[str]
        admin_token: Optional[str]
        parent_death: Optional[bool]
        stdin_eof: Optional[bool]
        phases: Optional[Mapping[str, Mapping[str, Any]]]
        hook: Optional[Sequence[Mapping[str, Any]]]
        logging: bool
        after_fork: Optional[AfterFork]


def install(**options: Unpack[Options]) -> GraceShut:
    """Installs signal handlers and threads; called again with options that agree, it gives the same object.

    The keywords are the keys of ``graceshut.toml``; file and ``GRACESHUT_*`` variables go before them. Best called in
    the main thread, before servers and event loops start.

    grace: seconds from the trigger until something outside kills the process (a pod's grace period).
    exit: "host" leaves by SystemExit in the main thread, "reraise" dies by the signal, "manual" never leaves.
    leave: "at_once" raises that SystemExit when every phase is over, "by_itself" only at the deadline, so that the program can
        leave by itself before; "auto" (default) is "by_itself" where the program has a handler of its own for the signal that
        came (``signal.signal``, asyncio's ``add_signal_handler``, for INT ``KeyboardInterrupt``), unless the main thread waits in
        ``gs.wait()`` or for ``gs.stopped``.
    admin: "127.0.0.1:9901" or "unix:/path": /livez, /readyz, /status and /prestop, answered by a native thread.
    admin_token: what /prestop asks of peers that are neither on loopback nor of the same user.
    parent_death, stdin_eof: the parent's death, or the end of stdin, starts the shutdown.
    logging: False keeps events out of ``logging.getLogger("graceshut")``.
    after_fork: what becomes of a child made by ``os.fork`` (multiprocessing's fork and forkserver, prefork servers):
        "disarm" (default) leaves it as though graceshut had never been loaded, until it calls ``install`` or
        ``gs.rearm()``; "rearm" arms it at once, behind the same object, with those hooks that were registered with
        ``fork="inherit"``.

    Raises BadConfig, BadTime, BadPlan, PlanDoesNotFit, NotUtf8, BadValue, Unsupported, Disagree, Os.
    """
    from . import _runtime

    return _runtime.install(dict(options))


def installed(**options: Unpack[Options]) -> Installed:
    """For tests: ``with graceshut.installed(grace=2) as gs:`` installs in manual mode, so that the process is never left,
    with no report written, and uninstalls at the end of the block; a shutdown under way is waited for first.

    Raises Disagree when there is an install already, WrongThread inside a hook, and what :func:`install` raises.
    """
    from . import _runtime

    return _runtime.Installed(dict(options))


def current() -> Optional[GraceShut]:
    """The install of this process, if there is one."""
    import sys

    runtime = sys.modules.get("graceshut._runtime")
    return runtime.current() if runtime is not None else None


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        # Loaded when asked for: importing graceshut must cost a program nothing.
        if name in ("GraceShut", "Group", "Installed", "Track"):
            from . import _runtime as module
        elif name in ("Flag", "Waited"):
            from . import _flags as module
        elif name == "Listener":
            from . import _listener as module
        else:
            raise AttributeError("module 'graceshut' has no attribute %r" % name)
        return getattr(module, name)


__all__ = [
    "install",
    "installed",
    "current",
    "GraceShut",
    "Group",
    "Installed",
    "Listener",
    "Track",
    "Flag",
    "Waited",
    "Context",
    "Hook",
    "Reason",
    "__version__",
    "Error",
    "Draining",
    "Null",
    "NotUtf8",
    "UnknownPhase",
    "BadTime",
    "BadValue",
    "BadConfig",
    "BadPlan",
    "PlanDoesNotFit",
    "Disagree",
    "Closed",
    "TooLate",
    "Cycle",
    "WrongThread",
    "NotInstalled",
    "AbiMismatch",
    "Os",
    "Timeout",
    "Unsupported",
    "Internal",
]
