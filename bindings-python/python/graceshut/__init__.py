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
from ._errors import __all__ as _error_names
from ._graceshut import Context, Hook, Reason, __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import timedelta
    from os import PathLike
    from typing import Any, Literal, Mapping, Optional, Sequence, Union

    from ._flags import Flag, Waited
    from ._runtime import GraceShut, Group, Track

    Seconds = Union[int, float, str, timedelta, None]
    Action = Literal["stop", "reload", "status", "ignore", "default"]

    def install(
        *,
        grace: Seconds = ...,
        grace_normal: Seconds = ...,
        already_spent: Seconds = ...,
        announce_delay: Seconds = ...,
        serving: Optional[bool] = ...,
        signals: Optional[Mapping[Union[str, int], Union[Action, Mapping[str, Any]]]] = ...,
        repeat: Optional[Literal["expedite", "interactive", "orchestrated"]] = ...,
        exit: Optional[Literal["host", "reraise", "manual"]] = ...,
        exit_code_clean: Optional[int] = ...,
        exit_code_degraded: Optional[int] = ...,
        exit_code_forced: Optional[int] = ...,
        exit_cap: Seconds = ...,
        watchdog: Optional[bool] = ...,
        max_workers: Optional[int] = ...,
        report: Optional[Union[str, PathLike[str]]] = ...,
        systemd_extend: Optional[bool] = ...,
        inflight: Optional[bool] = ...,
        hold: Optional[bool] = ...,
        admin: Optional[str] = ...,
        admin_token: Optional[str] = ...,
        parent_death: Optional[bool] = ...,
        stdin_eof: Optional[bool] = ...,
        phases: Optional[Mapping[str, Mapping[str, Any]]] = ...,
        hook: Optional[Sequence[Mapping[str, Any]]] = ...,
        logging: bool = ...,
    ) -> GraceShut:
        """Installs signal handlers and threads; called again with options that agree, it gives the same object.

        The keywords are the keys of ``graceshut.toml``; file and ``GRACESHUT_*`` variables go before them. Best called in
        the main thread, before servers and event loops start.

        grace: seconds from the trigger until something outside kills the process (a pod's grace period).
        exit: "host" leaves by SystemExit in the main thread, "reraise" dies by the signal, "manual" never leaves.
        admin: "127.0.0.1:9901" or "unix:/path": /livez, /readyz, /status and /prestop, answered by a native thread.
        admin_token: what /prestop asks of peers that are neither on loopback nor of the same user.
        parent_death, stdin_eof: the parent's death, or the end of stdin, starts the shutdown.
        logging: False keeps events out of ``logging.getLogger("graceshut")``.

        Raises BadConfig, BadTime, BadPlan, PlanDoesNotFit, NotUtf8, BadValue, Unsupported, Disagree, Os.
        """

    def current() -> Optional[GraceShut]:
        """The install of this process, if there is one."""

else:

    def install(*, logging=True, **options):
        from ._runtime import install

        return install({k: v for k, v in options.items() if v is not None}, bool(logging))

    def current():
        import sys

        runtime = sys.modules.get("graceshut._runtime")
        return runtime.current() if runtime is not None else None

    def __getattr__(name):
        # Loaded when asked for: importing graceshut must cost a program nothing.
        if name in ("GraceShut", "Group", "Track"):
            from . import _runtime as module
        elif name in ("Flag", "Waited"):
            from . import _flags as module
        else:
            raise AttributeError("module 'graceshut' has no attribute %r" % name)
        return getattr(module, name)


__all__ = [
    "install",
    "current",
    "GraceShut",
    "Group",
    "Track",
    "Flag",
    "Waited",
    "Context",
    "Hook",
    "Reason",
    "__version__",
    *_error_names,
]
