"""What the two Kafka helpers share: which offsets are done."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional

    from . import GraceShut


def install_of(gs: Optional[GraceShut]) -> GraceShut:
    import graceshut

    return gs or graceshut.current() or graceshut.install()


class Progress:
    """Offsets of the messages that were dealt with, by (topic, partition)."""

    def __init__(self) -> None:
        self._next: dict[tuple[str, int], int] = {}
        self._committed: dict[tuple[str, int], int] = {}

    def done(self, topic: str, partition: int, offset: int) -> None:
        self._next[topic, partition] = offset + 1

    def to_commit(self, assigned: set[tuple[str, int]]) -> dict[tuple[str, int], int]:
        """What is not committed yet, of the partitions that are still ours."""
        return {tp: at for tp, at in self._next.items() if tp in assigned and self._committed.get(tp) != at}

    def committed(self, what: Any) -> None:
        self._committed.update(what)
