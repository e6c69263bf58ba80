"""One confluent-kafka consumer in its group; what ``Batches`` and ``Messages`` of :mod:`graceshut.confluent_kafka` share."""

from __future__ import annotations

import threading
import time

from ._kafka import CLIENT_BUSY, COMMITS_ITSELF, ENDED, LOOPING, Ledger, checked, log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Optional

    from . import GraceShut
    from ._graceshut import Context

    #: With the client and its TopicPartitions.
    OnPartitions = Callable[[Any, list[Any]], object]

#: Kept back for the hook's own end when it waits for something.
_KEPT = 0.05
#: The client cannot be asked whether it commits by itself, so the broker is, for the first while: by default it would every 5 s.
_ASKED_FOR = 20.0
_ANSWERED_IN = 2.0
#: The client does not get over these by itself; whatever else is not fatal it does.
_ENDS = "_AUTO_OFFSET_RESET _KEY_DESERIALIZATION _VALUE_DESERIALIZATION FENCED_INSTANCE_ID INVALID_GROUP_ID OFFSET_METADATA_TOO_LARGE".split()


def _is_the_end(error: Any) -> bool:
    return bool(error.fatal()) or error.name() in _ENDS or "AUTHORIZATION_FAILED" in error.name()


def place(message: Any) -> tuple[str, int, int]:
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


class Member:
    """One consumer in its group: subscribed, polled by one thread, committed, left."""

    def __init__(self, gs: GraceShut, consumer: Any, topics: Any, timeout: Optional[float], on_assign: Optional[OnPartitions]) -> None:
        self.consumer: Any = consumer
        self._gs, self._timeout, self._on_assign = gs, timeout, on_assign
        self._topics = checked(topics)
        self._ledger = Ledger()
        self._calls = _Calls()
        #: One commit after another, else an older one could come last. One leaves at a time.
        self._one_commit, self._one_leaves = threading.Lock(), threading.Lock()
        self._leaving = self._closed = False
        self._hooks: list[Any] = []
        self._asked_until = 0.0
        #: What ended the loop, or its last write.
        self._failure: Optional[BaseException] = None
        #: The loop takes no more; its last write is over, whichever way.
        self._loop_over, self._all_over = threading.Event(), threading.Event()

    def _join(self) -> None:
        if self._gs.draining:
            return self._leave()
        self._asked_until = time.monotonic() + _ASKED_FOR
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

    def _check_that_nothing_else_commits(self) -> None:
        import graceshut
        from confluent_kafka import KafkaException, TopicPartition

        ours = self._ledger.positions() if time.monotonic() < self._asked_until else {}
        if not ours or not self._calls.begin():
            return
        try:
            found = self.consumer.committed([TopicPartition(*one) for one in ours], timeout=_ANSWERED_IN)
        except KafkaException:
            return  # asked again before the next write
        finally:
            self._calls.end()
        for one in found:
            at = ours[one.topic, one.partition]
            if one.error is None and one.offset > at:
                raise graceshut.BadValue(COMMITS_ITSELF % (one.topic, one.partition, one.offset, at))

    def _commit_or_go_on(self) -> None:
        """In the loop: the next commit makes up for one that the client may try again."""
        from confluent_kafka import KafkaException

        try:
            self._commit()
        except KafkaException as e:
            error = e.args[0]
            if _is_the_end(error):
                raise
            log("Kafka: not committed, the next commit tries again: %s", error.str())

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
                try:
                    self._settle(partitions)
                finally:
                    self._commit(gone)
        except KafkaException as e:
            log("Kafka: not committed before the partitions were revoked: %s", e.args[0].str())
        finally:
            self._forget(gone)

    def _lost(self, consumer: Any, partitions: list[Any]) -> None:
        self._forget({(p.topic, p.partition) for p in partitions})

    def _settle(self, partitions: list[Any]) -> None:
        """What can still be done before these are committed and go."""

    def _forget(self, partitions: set[tuple[str, int]]) -> None:
        self._ledger.forget(partitions)

    # ---- hooks

    def _drain(self, ctx: Context) -> None:
        wait_for(self._loop_over, ctx, LOOPING)

    def _flush(self, ctx: Context) -> None:
        raise NotImplementedError

    def _raise_failure(self) -> None:
        if isinstance(self._failure, Exception):
            raise self._failure
        if self._failure is not None:
            raise RuntimeError(ENDED % (self._failure,))

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


def wait_for(event: threading.Event, ctx: Context, otherwise: str) -> None:
    while not event.wait(0.01):
        if ctx.cancelled:
            raise TimeoutError(otherwise)
