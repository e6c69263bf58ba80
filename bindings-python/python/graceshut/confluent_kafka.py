"""confluent-kafka: messages are written, then committed, and the group is left inside the budget.

    graceshut.confluent_kafka.Batches(gs, consumer, ["orders"], write).run()

``write(messages)`` gets up to ``size`` messages, the oldest of them at most ``seconds`` old. What it returned from is committed,
and nothing else is. Where a program wants to say itself what is done::

    with graceshut.confluent_kafka.Messages(gs, consumer, ["orders"]) as messages:
        for message in messages:
            handle(message)
            messages.done(message)

Make the consumer with ``enable.auto.commit: False``, else the client commits by itself what was not written: that ends the loop
with BadValue, within seconds. Both subscribe the consumer.

``drain``: no more is taken. ``flush``: what is left is written and committed. ``close``: the group is left, so that the others
need not wait for a session to end. Before partitions are revoked what is there is written and committed; what cannot be is the next
member's. Errors that the client retries by itself are logged (logger ``graceshut``) and end nothing.
"""

from __future__ import annotations

import threading
import time

from . import _interrupt, _signals
from ._kafka import INSIDE, POLL, WRITING, Buffer, checked, log
from ._kafka_confluent import Member, place, wait_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, Callable, Optional

    from . import GraceShut
    from ._graceshut import Context
    from ._kafka_confluent import OnPartitions

__all__ = ["Batches", "Messages"]


class Batches(Member):
    """Writes messages in batches, and commits what was written.

    ``write(messages)``: called on the thread of :meth:`run` and on no other, with a list of the client's messages, in the order
    they came; it returns when they are stored, or raises. It may get a message a second time (after a crash, a failed commit, a
    rebalance), so it should write by id. ``size``: the most messages in a batch. ``seconds``: the oldest one waits no longer.
    ``timeout``: seconds that each step of the plan may take; its phase bounds it anyway. ``on_assign(consumer, partitions)``: as
    ``Consumer.subscribe`` has it.
    """

    def __init__(
        self, gs: GraceShut, consumer: Any, topics: Any, write: Callable[[list[Any]], object], size: int = 500, seconds: float = 5.0, *,
        timeout: Optional[float] = None, on_assign: Optional[OnPartitions] = None,
    ) -> None:
        super().__init__(gs, consumer, topics, timeout, on_assign)
        checked(topics, size, seconds)
        self._write = write
        self._buffer = Buffer(size, seconds, place, self._ledger)
        self._flush_began = threading.Event()

    def run(self) -> None:
        """Consumes until ``drain`` begins and what is left is written; blocks. Call it once.

        What ``write`` raises ends it, with nothing of that batch committed and the group left; once the process is stopping the
        batch is tried again instead, and what that raises is the outcome of the hook ``kafka`` in ``flush``.
        """
        self._join()
        swallow = _interrupt.waiting() if _signals.in_main() else None
        if swallow is not None:
            swallow.__enter__()
        try:
            self._run()
        finally:
            self._loop_over.set()
            self._all_over.set()
            if swallow is not None:
                swallow.__exit__()

    def _run(self) -> None:
        try:
            while not self._gs.draining:
                message = self._poll(self._buffer.wait(POLL))
                if message is not None:
                    self._buffer.add(message)
                if self._buffer.is_due():
                    self._check_that_nothing_else_commits()
                    self._write_batch()
        except BaseException as error:
            if not self._gs.stopping:
                self._leave_without_a_plan(error)
                raise
            self._failure = error
            if self._gs.stopped or not isinstance(error, Exception):
                raise
            log("Kafka: stopping, and tried once more: %r", error)
        self._loop_over.set()
        self._write_the_rest()

    def _write_batch(self) -> None:
        batch = self._buffer.batch()
        self._write(batch)
        self._buffer.written(batch)
        self._commit_or_go_on()

    def _write_the_rest(self) -> None:
        """At once, and where that fails once more in ``flush``."""
        for last in (False, True):
            if last:
                while not self._flush_began.wait(POLL) and not self._gs.stopped:
                    pass
            try:
                if len(self._buffer):
                    batch = self._buffer.batch()
                    self._write(batch)
                    self._buffer.written(batch)
                self._commit()
                self._failure = None
                return
            except Exception as error:
                self._failure = error

    def _settle(self, partitions: list[Any]) -> None:
        if self._gs.draining or not len(self._buffer):
            return  # the last write does it
        batch = self._buffer.batch()
        try:
            self._write(batch)
        except Exception as error:
            log("Kafka: not written before the partitions were revoked, the next member reads it: %r", error)
        else:
            self._buffer.written(batch)

    def _forget(self, partitions: set[tuple[str, int]]) -> None:
        super()._forget(partitions)
        self._buffer.forget(partitions)

    def _drain(self, ctx: Context) -> None:
        wait_for(self._loop_over, ctx, WRITING)

    def _flush(self, ctx: Context) -> None:
        self._flush_began.set()
        wait_for(self._all_over, ctx, WRITING)
        self._raise_failure()


class Messages(Member):
    """The messages one after another; what the program calls done is committed, every ``seconds`` and at the end.

    A message counts as done when :meth:`done` was called with it, and what is committed of a partition ends before its first message
    that is not. ``tick``: where nothing comes for so many seconds, the iterator gives None. Ends when ``drain`` begins; what was
    read can still be dealt with and called done until the block is left, for which ``flush`` waits. Leave the block before
    ``gs.wait()``. Iterate on one thread; ``done`` and ``commit`` may be called on any.

    ``on_revoke(consumer, partitions)``: called on the loop's thread before these are another member's; what is called done in it is
    still committed, and the rest a program that collects messages has to drop. Not called when the group is left.
    ``timeout`` and ``on_assign`` as for :class:`Batches`.
    """

    def __init__(
        self, gs: GraceShut, consumer: Any, topics: Any, *, tick: Optional[float] = None, seconds: float = 5.0,
        timeout: Optional[float] = None, on_assign: Optional[OnPartitions] = None, on_revoke: Optional[OnPartitions] = None,
    ) -> None:
        super().__init__(gs, consumer, topics, timeout, on_assign)
        self._on_revoke = on_revoke
        checked(topics, seconds=seconds, tick=1.0 if tick is None else tick)
        self._tick, self._seconds = tick, seconds
        self._committed_at = time.monotonic()

    def __enter__(self) -> Messages:
        self._join()
        return self

    def __exit__(self, kind: Optional[type[BaseException]], error: Optional[BaseException], tb: Optional[TracebackType]) -> None:
        self._failure = error
        self._loop_over.set()
        self._all_over.set()
        if not self._gs.stopping:
            self._leave_without_a_plan(error)  # otherwise the hooks do it

    def __iter__(self) -> Messages:
        return self

    def __next__(self) -> Any:
        until = None if self._tick is None else time.monotonic() + self._tick
        while not self._gs.draining:
            if time.monotonic() - self._committed_at >= self._seconds:
                self._committed_at = time.monotonic()
                self._check_that_nothing_else_commits()
                self._commit_or_go_on()
            message = self._poll(POLL if until is None else min(max(until - time.monotonic(), 0.0), POLL))
            if message is None:
                if until is not None and time.monotonic() >= until:
                    return None
            elif not self._gs.draining and self._ledger.take(*place(message)):
                return message
        self._loop_over.set()
        raise StopIteration

    def done(self, *messages: Any) -> None:
        """These need not be read again. In any order; None and messages of revoked partitions change nothing."""
        for message in messages:
            if message is not None:
                self._ledger.done(*place(message))

    def commit(self) -> None:
        """Commits what is done now; blocks until the broker has it. Raises KafkaException."""
        self._commit()

    def _settle(self, partitions: list[Any]) -> None:
        if self._on_revoke is not None:
            self._on_revoke(self.consumer, partitions)

    def _lost(self, consumer: Any, partitions: list[Any]) -> None:
        super()._lost(consumer, partitions)
        self._settle(partitions)

    def _flush(self, ctx: Context) -> None:
        try:
            wait_for(self._all_over, ctx, INSIDE)
        finally:
            self._commit()
        self._raise_failure()
