"""What the HTTP adapters share: the routes and the words of a refusal."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import timedelta
    from typing import Iterable, Optional, Union

REFUSED = b"draining: this instance is stopping, ask another\n"
#: How much of a refused request's body is read first: closing with unread bytes would reset the answer.
READ_LIMIT = 1 << 20
#: What says of an answer that it has no end of its own. A download without a length is none: ended early it looks complete.
_STREAMS = ("text/event-stream", "multipart/x-mixed-replace")


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


class Endless:
    """``end_streams_after`` and ``stream_types``, checked."""

    __slots__ = ("after", "_types")

    def __init__(self, after: Union[float, timedelta, None], types: Iterable[str] = ()) -> None:
        self.after = stream_seconds(after)
        given = (types,) if isinstance(types, str) else tuple(types)
        for one in given:
            if not isinstance(one, str) or "/" not in one:
                raise ValueError("stream_types are content types such as 'application/x-ndjson', not %r" % (one,))
        self._types = frozenset(_plain(one) for one in (*_STREAMS, *given))

    def names(self, content_type: Optional[str]) -> bool:
        """Whether an answer of that type is a stream, if it has no Content-Length."""
        return content_type is not None and _plain(content_type) in self._types


def _plain(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


def stream_seconds(value: Union[float, timedelta, None]) -> Optional[float]:
    """``end_streams_after``, checked."""
    if value is None:
        return None
    seconds = value.total_seconds() if hasattr(value, "total_seconds") else value
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 <= seconds < float("inf"):
        raise ValueError("end_streams_after is a number of seconds from 0 on, a timedelta or None, not %r" % (value,))
    return float(seconds)
