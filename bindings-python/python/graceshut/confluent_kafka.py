"""confluent-kafka: messages are written, then committed, and the group is left inside the budget.

    graceshut.confluent_kafka.Batches(gs, consumer, ["orders"], write).run()

``write(messages)`` gets up to ``size`` messages, the oldest of them at most ``seconds`` old. What it returned from is committed,
and nothing else is. Where a program wants to say itself what is done::

    with graceshut.confluent_kafka.Messages(gs, consumer, ["orders"]) as messages:
        for message in messages:
            handle(message)
            messages.done(message)

Make the consumer with ``enable.auto.commit: False``, else the client commits by itself what nobody has written; both subscribe it.

``drain``: no more is taken. ``flush``: what is left is written and committed. ``close``: the group is left, so that the others
need not wait for a session to end. At a revocation what was written is committed, and the rest is the next member's. Errors that
the client retries by itself are logged (logger ``graceshut``) and end nothing.
"""

from __future__ import annotations

import threading
import time

from . import _signals
from ._kafka import CLIENT_BUSY, ENDED, INSIDE, LOOPING, POLL, WRITING, Buffer, Ledger, checked, log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, Callable, Optional

    from . import GraceShut
    from ._graceshut import Context

    #: With the client and its TopicPartitions.
    OnPartitions = Callable[[Any, list[Any]], object]

__all__ = ["Batches", "Messages"]

#: Kept back for the hook's own end when it waits for something.
_KEPT = 0.05
#: The client does not get over these by itself; whatever else is not fatal it does.
_ENDS = "_AUTO_OFFSET_RESET _KEY_DESERIALIZATION _VALUE_DESERIALIZATION FENCED_INSTANCE_ID INVALID_GROUP_ID OFFSET_METADATA_TOO_LARGE".split()


def _is_the_end(error: Any) -> bool:
    return bool(error.fatal()) or error.name() in _ENDS or "AUTHORIZATION_FAILED" in error.name()


def _place(message: Any) -> tuple[str, int, int]:
    return message.topic(), message.partition(), message.offset()


class _Calls:
    """Counts the calls of a client that are under way: to close it under a call of another thread is not safe."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._under_way = 0
        self._shut = False

    def begin(self) -> bool:
        with self._changed:
            self._under_way += not self._shut
            return not self._shut

    def end(self) -> None:
        with self._changed:
            self._under_way -= 1
            self._changed.notify_all()

    def shut(self, timeout: Optional[float]) -> bool:
        """No call begins any more; waits for those under way. Where they do not end in time it is open again, and False."""
        with self._changed:
            self._shut = True
            self._shut = self._changed.wait_for(lambda: self._under_way == 0, timeout)
            return self._shut


class _Member:
    """One consumer in its group: subscribed, polled by one thread, committed, left."""

    def __init__(self, gs: GraceShut, consumer: Any, topics: Any, timeout: Optional[float], on_assign: Optional[OnPartitions]) -> None:
        self.consumer: Any = consumer
        self._gs, self._timeout, self._on_assign = gs, timeout, on_assign
        self._on_revoke: Optional[OnPartitions] = None
        self._topics = checked(topics)
        self._ledger = Ledger()
        self._calls = _Calls()
        #: One commit after another, else an older one could come last. One leaves at a time.
        self._one_commit, self._one_leaves = threading.Lock(), threading.Lock()
        self._leaving = self._closed = False
        self._hooks: list[Any] = []
        #: The loop takes no more; its last write is over, whichever way.
        self._loop_over, self._all_over = threading.Event(), threading.Event()

    def _join(self) -> None:
        if self._gs.draining:
            return self._leave()
        try:
            for phase, step in (("drain", self._drain), ("flush", self._flush), ("close", self._leave)):
                self._hooks.append(self._gs.hook(phase, step, name="kafka", timeout=self._timeout))
            self.consumer.subscribe(self._topics, on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._lost)
        except BaseException:
            for hook in self._hooks:
                hook.remove()
            raise

    def _poll(self, seconds: float) -> Any:
        """The next message, or None. Runs the client's callbacks."""
        if not self._calls.begin():
            time.sleep(seconds)
            return None
        try:
            message = self.consumer.poll(seconds)
        finally:
            self._calls.end()
        error = message.error() if message is not None else None
        if error is None:
            return message
        if _is_the_end(error):
            from confluent_kafka import KafkaException

            raise KafkaException(error)
        if error.name() != "_PARTITION_EOF":
            log("Kafka: %s; the client goes on by itself", error.str())
        return None

    def _commit(self, only: Optional[set[tuple[str, int]]] = None) -> None:
        """Blocks until the broker has what is done. KafkaException where it has not; the next commit tries again."""
        with self._one_commit:
            if not self._calls.begin():
                return
            try:
                self._commit_now(only)
            finally:
                self._calls.end()

    def _commit_now(self, only: Optional[set[tuple[str, int]]] = None) -> None:
        from confluent_kafka import KafkaException, TopicPartition

        offsets = self._ledger.to_commit(only)
        if not offsets:
            return
        answer = self.consumer.commit(offsets=[TopicPartition(*one, at) for one, at in offsets.items()], asynchronous=False)
        errors = {(p.topic, p.partition): p.error for p in answer or [] if p.error is not None}
        self._ledger.committed({one: at for one, at in offsets.items() if one not in errors})
        for error in errors.values():
            raise KafkaException(error)

    def _commit_or_go_on(self) -> None:
        """In the loop: a commit that fails for now is made up for by the next one."""
        from confluent_kafka import KafkaException

        try:
            self._commit()
        except KafkaException as e:
            error = e.args[0]
            if _is_the_end(error):
                raise
            log("Kafka: not committed for now: %s", error.str())

    # ---- called by the client, inside poll and close

    def _assigned(self, consumer: Any, partitions: list[Any]) -> None:
        self._ledger.assign((p.topic, p.partition) for p in partitions)
        if self._on_assign is not None:
            self._on_assign(consumer, partitions)

    def _revoked(self, consumer: Any, partitions: list[Any]) -> None:
        from confluent_kafka import KafkaException

        gone = {(p.topic, p.partition) for p in partitions}
        try:
            # When the group is left nothing is waited for here: flush has done what could be done.
            if not self._leaving:
                self._tell_of_revoked(consumer, partitions)
                self._commit(gone)
        except KafkaException as e:
            log("Kafka: not committed before the partitions were revoked: %s", e.args[0].str())
        finally:
            self._forget(gone)

    def _lost(self, consumer: Any, partitions: list[Any]) -> None:
        self._forget({(p.topic, p.partition) for p in partitions})
        self._tell_of_revoked(consumer, partitions)

    def _tell_of_revoked(self, consumer: Any, partitions: list[Any]) -> None:
        if self._on_revoke is not None:
            self._on_revoke(consumer, partitions)

    def _forget(self, partitions: set[tuple[str, int]]) -> None:
        self._ledger.forget(partitions)

    # ---- hooks

    def _drain(self, ctx: Context) -> None:
        _wait(self._loop_over, ctx, LOOPING)

    def _flush(self, ctx: Context) -> None:
        raise NotImplementedError

    def _leave(self, ctx: Optional[Context] = None) -> None:
        """Commits what has been done since, and leaves the group. Once."""
        self._leaving = True
        left = ctx.remaining if ctx is not None else None
        with self._one_leaves:
            if self._closed:
                return
            if not self._calls.shut(None if left is None else max(left - _KEPT, 0.0)):
                raise TimeoutError(CLIENT_BUSY)
            try:
                self._commit_now()
            finally:
                self.consumer.close()
                self._closed = True

    def _leave_without_a_plan(self, error: Optional[BaseException]) -> None:
        """The loop has ended, of ``error``, and no shutdown is under way. A hook that runs already does the same."""
        for hook in self._hooks:
            hook.remove()
        try:
            self._leave()
        except Exception as e:
            if error is None:
                raise
            log("Kafka: when the group was left: %r", e)  # the program's own error is the one to hear of


class Batches(_Member):
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
        self._buffer = Buffer(size, seconds, _place, self._ledger)
        self._flush_began = threading.Event()
        self._failure: Optional[BaseException] = None

    def run(self) -> None:
        """Consumes until ``drain`` begins and what is left is written; blocks. Call it once.

        What ``write`` raises ends it, with nothing of that batch committed and the group left; once the process is stopping the
        batch is tried again instead, and what that raises is the outcome of the hook ``kafka`` in ``flush``.
        """
        self._join()
        swallow = _signals.waiting() if _signals.in_main() else None
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

    def _forget(self, partitions: set[tuple[str, int]]) -> None:
        super()._forget(partitions)
        self._buffer.forget(partitions)

    def _drain(self, ctx: Context) -> None:
        _wait(self._loop_over, ctx, WRITING)

    def _flush(self, ctx: Context) -> None:
        self._flush_began.set()
        _wait(self._all_over, ctx, WRITING)
        if isinstance(self._failure, Exception):
            raise self._failure
        if self._failure is not None:
            raise RuntimeError(ENDED % (self._failure,))


class Messages(_Member):
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
                self._commit_or_go_on()
            message = self._poll(POLL if until is None else min(max(until - time.monotonic(), 0.0), POLL))
            if message is None:
                if until is not None and time.monotonic() >= until:
                    return None
            elif not self._gs.draining and self._ledger.take(*_place(message)):
                return message
        self._loop_over.set()
        raise StopIteration

    def done(self, *messages: Any) -> None:
        """These need not be read again. In any order; None and messages of revoked partitions change nothing."""
        for message in messages:
            if message is not None:
                self._ledger.done(*_place(message))

    def commit(self) -> None:
        """Commits what is done now; blocks until the broker has it. Raises KafkaException."""
        self._commit()

    def _flush(self, ctx: Context) -> None:
        try:
            _wait(self._all_over, ctx, INSIDE)
        finally:
            self._commit()


def _wait(event: threading.Event, ctx: Context, otherwise: str) -> None:
    while not event.wait(0.01):
        if ctx.cancelled:
            raise TimeoutError(otherwise)
