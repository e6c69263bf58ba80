# The native half. Programs use the face in __init__.py; what begins with an underscore is between the two.
from typing import Any, Callable, Optional, Union
from datetime import timedelta

__version__: str

def error_kinds() -> list[tuple[str, int]]: ...
def managed_signals(options: dict[str, Any]) -> list[tuple[int, bool, bool]]: ...
def in_main_interpreter() -> bool: ...
def set_outside(signo: int, view: int) -> None: ...
def set_kick(signo: int, main: Optional[int]) -> None: ...
def exit_due() -> Optional[int]: ...
def exit_was_lost() -> None: ...
def exit_begins(begins: bool) -> None: ...
def set_leaver(waits: bool) -> None: ...
def call_in_main() -> bool: ...
def after_fork() -> None: ...

class Reason:
    """Why the process stops: the typed record of the first trigger."""

    @property
    def kind(self) -> str:
        """ "signal", "stop", "host_end", "uncaught", "prestop", "parent_death" or "stdin_eof"."""
    @property
    def signo(self) -> Optional[int]: ...
    @property
    def signal(self) -> Optional[str]:
        """The signal's name without SIG."""
    @property
    def sender_pid(self) -> Optional[int]: ...
    @property
    def sender_uid(self) -> Optional[int]: ...
    @property
    def message(self) -> Optional[str]: ...

class Linger:
    """The way of a server's listeners from the start of ``drain`` to their closing (spec 9.4)."""

    def __new__(cls, ctx: Context, *, all_holders_stop: bool = False) -> Linger: ...
    def step(self, came: bool, busy: bool, listeners: list[int]) -> bool: ...

class Context:
    """What a hook knows while it runs. Valid on any thread, also after the hook was abandoned."""

    @property
    def name(self) -> str: ...
    @property
    def phase(self) -> str: ...
    @property
    def reason(self) -> Reason: ...
    @property
    def remaining(self) -> Optional[float]:
        """Seconds until the hard deadline, 0.0 when it has passed; None when there is no deadline."""
    @property
    def deadline(self) -> Optional[float]:
        """The hard deadline as time.monotonic() counts; None when there is none."""
    @property
    def cancelled(self) -> bool:
        """True from the soft deadline on: finish what cannot be left, and end."""
    @property
    def abandoned(self) -> list[str]:
        """Names of the hooks that were abandoned earlier and still run."""
    def extend(self, seconds: Union[int, float, str, timedelta]) -> float:
        """Asks for more seconds before the soft deadline; answers what was granted."""
    def log(self, message: object) -> None:
        """Says a line through logging.getLogger("graceshut") and every event callback."""
    def progress(self, done: int, total: int = 0) -> None:
        """Says how far the hook is; at most ten a second become events."""
    def wait_cancelled(self, seconds: Union[int, float, str, timedelta, None]) -> bool:
        """Sleeps until the hook is cancelled, at most this long; answers whether it was."""
    def on_cancel(self, f: Callable[[], object]) -> None:
        """Calls f on a worker when the hook is cancelled; at once when it already is."""

class Done:
    def begin(self) -> bool: ...
    def ok(self) -> None: ...
    def failed(self, message: object) -> None: ...
    def cancelled(self) -> None: ...
    def exit(self, code: int) -> None: ...

class Hook:
    """A registered hook."""

    @property
    def id(self) -> int:
        """Unique within one install."""
    def _on_removed(self, f: Callable[[], object]) -> None: ...
    def remove(self) -> str:
        """Takes the hook out: "removed", or "running" / "done" when it is too late."""

class Group:
    """A named group of work in flight."""

    def __init__(self, name: str) -> None: ...
    def enter(self) -> bool:
        """Counts one unit of work in; False once work is refused."""
    def enter_part(self) -> None:
        """Counts a part of already accepted work in; never refused."""
    def leave(self) -> None:
        """Counts one unit of work out, on any thread."""
    @property
    def in_flight(self) -> int: ...
    @property
    def name(self) -> str: ...

class Runtime:
    def __init__(self, options: dict[str, Any], version: str, sink: Callable[[dict[str, Any]], object]) -> None: ...
    def _revive(self, options: dict[str, Any], version: str, sink: Callable[[dict[str, Any]], object]) -> None: ...
    @property
    def _open(self) -> bool: ...
    @property
    def _manual(self) -> bool: ...
    @property
    def _level(self) -> int: ...
    def _agree(self, options: dict[str, Any]) -> None: ...
    def _hook(self, spec: dict[str, Any], body: Callable[[Context, Done], object]) -> Hook: ...
    def _declare(self, spec: dict[str, Any]) -> Hook: ...
    def _on_reload(self, name: str, f: Callable[[], object]) -> None: ...
    def _rearm(self, signo: int, chain: bool = True) -> None: ...
    def _wait(self, seconds: float, leaves: bool) -> Optional[int]: ...
    def _wait_to_the_end(self) -> None: ...
    def _wait_level(self, level: int, seconds: float) -> bool: ...
    def _host_end(self, error: Optional[str], code: int) -> None: ...
    def _close_gate(self, seconds: float) -> bool: ...
    def _exit_with_guests(self) -> None: ...
    def _uninstall(self) -> None: ...
    def _seconds(self, value: object, what: str) -> Optional[float]: ...
    def _set_serving(self, serving: bool) -> None: ...
    def _noop(self) -> None:
        """Does nothing: what a call costs."""
    def enter(self) -> bool:
        """Counts one unit of work in; False once work is refused. One native call, no allocation."""
    def enter_part(self) -> None:
        """Counts a part of already accepted work in; never refused."""
    def leave(self) -> None:
        """Counts one unit of work out, on any thread."""
    @property
    def in_flight(self) -> int:
        """Units of work in flight, all groups together."""
    def stop(self, reason: str = "", grace: Union[int, float, str, timedelta, None] = None) -> None:
        """Starts the shutdown, or shortens the one under way. Never blocks. Raises BadTime, NotUtf8, Closed."""
    def ready(self) -> None:
        """Ends a held install (hold=True)."""
    def reload(self) -> None:
        """Runs the reload hooks, as SIGHUP would."""
    @property
    def reason(self) -> Optional[Reason]:
        """The first trigger, once there is one."""
    def report(self) -> Optional[dict[str, Any]]:
        """The report, once the shutdown is over."""
    @property
    def state(self) -> str:
        """ "idle", "armed", "stopping(drain)" or "stopped"."""
    def plan(self) -> str:
        """The schedule, best and worst case, before anything happens."""
    def config(self) -> dict[str, Any]:
        """The effective configuration: for each key its value and where it came from."""
    def status(self) -> str:
        """The state in one line, for people."""
    @property
    def admin_address(self) -> Optional[str]:
        """Where the admin endpoint listens, the port or pid filled in: "127.0.0.1:9901", "unix:/path". None without one."""
