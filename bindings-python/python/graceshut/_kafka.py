"""Acknowledged consumption (spec 9.7), without any client: which offsets may be committed, and which messages wait to be written.

The modules of the clients bring messages here and ask what to do; they decide nothing about offsets themselves.
"""

from __future__ import annotations

import threading
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Iterable, Optional

    #: Topic and partition.
    Partition = tuple[str, int]
    #: Topic, partition and offset of a client's message.
    Place = Callable[[Any], tuple[str, int, int]]

#: Longest time that a loop asks its client, and so looks whether it shall end.
POLL = 0.2
WRITING = "a write is still under way; what it holds is not committed, and the next member reads it again"
LOOPING = "the loop has not come back for its next message; what is not done is not committed"
INSIDE = "the block of Messages has not been left; what was not done by now is not committed"
CLIENT_BUSY = "a call of the Kafka client has not returned; the group was not left"
COMMITS_ITSELF = (
    "something else commits %s[%d] up to %d, where all is done only up to %d: make the consumer with enable.auto.commit: False, and commit "
    "nothing beside the helper"
)
ENDED = "the loop was ended by %r; what was not done by then is not committed"


def log(words: str, *args: object) -> None:
    import logging

    logging.getLogger("graceshut").warning(words, *args)


class _Held:
    """One partition for as long as it is assigned."""

    __slots__ = ("committed", "open", "upto")

    def __init__(self) -> None:
        #: Offsets taken and not done, in the order they came.
        self.open: dict[int, None] = {}
        #: The offset after the last one taken. None before the first message.
        self.upto: Optional[int] = None
        #: What is committed; at first the offset where we began, since that is no news to the broker.
        self.committed: Optional[int] = None

    def position(self) -> Optional[int]:
        """Everything before it is done."""
        return next(iter(self.open)) if self.open else self.upto


class Ledger:
    """Offsets by partition, from its assignment to its revocation; nothing is remembered beyond. Any thread."""

    def __init__(self) -> None:
        self._held: dict[Partition, _Held] = {}
        self._lock = threading.Lock()

    def assign(self, partitions: Iterable[Partition]) -> None:
        with self._lock:
            for one in partitions:
                self._held[one] = _Held()

    def forget(self, partitions: Iterable[Partition]) -> None:
        """Revoked or lost: another member reads on, and a commit of ours would rewind it."""
        with self._lock:
            for one in partitions:
                self._held.pop(one, None)

    def take(self, topic: str, partition: int, offset: int) -> bool:
        """A message came. False where its partition is not assigned any more: it is the next member's."""
        with self._lock:
            held = self._held.get((topic, partition))
            if held is None:
                return False
            if held.committed is None:
                held.committed = offset
            elif held.upto is not None and held.upto > offset:
                # The program has sought back: everything is open again from here.
                held.open = {one: None for one in held.open if one < offset}
            held.open[offset] = None
            held.upto = offset + 1
            return True

    def done(self, topic: str, partition: int, offset: int) -> None:
        """In any order; what was taken in an earlier assignment, or is not known, changes nothing."""
        with self._lock:
            held = self._held.get((topic, partition))
            if held is not None:
                held.open.pop(offset, None)

    def positions(self) -> dict[Partition, int]:
        """Where each partition stands: all before it is done."""
        with self._lock:
            at = {one: held.position() for one, held in self._held.items()}
        return {one: p for one, p in at.items() if p is not None}

    def to_commit(self, only: Optional[set[Partition]] = None) -> dict[Partition, int]:
        """The offsets before which all is done, where that is news."""
        with self._lock:
            news: dict[Partition, int] = {}
            for one, held in self._held.items():
                at = held.position()
                if at is not None and held.committed is not None and at > held.committed and (only is None or one in only):
                    news[one] = at
            return news

    def committed(self, what: dict[Partition, int]) -> None:
        with self._lock:
            for one, at in what.items():
                if one in self._held:
                    self._held[one].committed = at


class Buffer:
    """Messages that wait to be written: up to ``size``, none longer than ``seconds``. For the thread of the loop."""

    def __init__(self, size: int, seconds: float, place: Place, ledger: Ledger) -> None:
        self.size, self.seconds = size, seconds
        self._place, self._ledger = place, ledger
        self._messages: list[Any] = []
        self._since = 0.0

    def __len__(self) -> int:
        return len(self._messages)

    def add(self, message: Any) -> None:
        if self._ledger.take(*self._place(message)):
            if not self._messages:
                self._since = time.monotonic()
            self._messages.append(message)

    def is_due(self) -> bool:
        count = len(self._messages)
        return count >= self.size or count > 0 and time.monotonic() - self._since >= self.seconds

    def wait(self, longest: float) -> float:
        """How long the client may be asked before a write is due."""
        left = self._since + self.seconds - time.monotonic() if self._messages else longest
        return min(max(left, 0.0), longest)

    def batch(self) -> list[Any]:
        """What is to be written now. It stays here until ``written``."""
        return list(self._messages)

    def written(self, batch: list[Any]) -> None:
        gone = set(map(id, batch))
        self._messages = [one for one in self._messages if id(one) not in gone]
        self._since = time.monotonic()
        for one in batch:
            self._ledger.done(*self._place(one))

    def forget(self, partitions: set[Partition]) -> None:
        """What is not written of these is the next member's."""
        self._messages = [one for one in self._messages if self._place(one)[:2] not in partitions]


def checked(topics: Any, size: Any = 1, seconds: Any = 1.0, tick: Any = 1.0) -> list[str]:
    """The arguments that do not depend on the client; gives the topics as a list."""
    import graceshut

    names = [topics] if isinstance(topics, str) else list(topics)
    if not names:
        raise graceshut.BadValue("topics: at least one name is wanted, and the group is joined for them")
    if not isinstance(size, int) or size < 1:
        raise graceshut.BadValue("size = %r: a batch holds at least one message" % (size,))
    for what, value in (("seconds", seconds), ("tick", tick)):
        if not value > 0:
            raise graceshut.BadValue("%s = %r: seconds, more than 0" % (what, value))
    return names
