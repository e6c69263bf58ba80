"""What the HTTP adapters share: the routes and the words of a refusal."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import timedelta
    from typing import Optional, Union

REFUSED = b"draining: this instance is stopping, ask another\n"
#: How much of a refused request's body is read first: closing with unread bytes would reset the answer.
READ_LIMIT = 1 << 20


class Routes:
    """Readiness and liveness."""

    __slots__ = ("ready", "live", "paths")

    def __init__(self, ready: Optional[str], live: Optional[str]) -> None:
        for name, path in (("ready", ready), ("live", live)):
            if path is not None and not path.startswith("/"):
                raise ValueError("%s is a path such as '/readyz', not %r" % (name, path))
        self.ready, self.live = ready, live
        self.paths = frozenset(path for path in (ready, live) if path is not None)

    def answer(self, path: str, stopping: bool) -> tuple[int, bytes]:
        """Status and body. A process that stops is alive, but not ready."""
        if path == self.ready:
            return (503, b"stopping\n") if stopping else (200, b"ready\n")
        return 200, b"alive\n"


def stream_seconds(value: Union[float, timedelta, None]) -> Optional[float]:
    """``end_streams_after``, checked."""
    if value is None:
        return None
    seconds = value.total_seconds() if hasattr(value, "total_seconds") else value
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 <= seconds < float("inf"):
        raise ValueError("end_streams_after is a number of seconds from 0 on, a timedelta or None, not %r" % (value,))
    return float(seconds)
