"""What the HTTP adapters share: the routes and the words of a refusal."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional

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
