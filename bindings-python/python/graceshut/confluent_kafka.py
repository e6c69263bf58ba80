"""confluent-kafka: a consumer that pauses, finishes, commits and leaves its group inside the budget.

    with graceshut.confluent_kafka.Messages(consumer) as messages:
        for message in messages:
            handle(message)

Each message is work in flight until the next one is asked for. ``drain``: partitions are paused and the loop ends after the
message in hand. ``flush``: the offsets of finished messages are committed, and no others; give the consumer
``enable.auto.commit: false``. ``close``: the consumer leaves its group. A ``commit`` or ``close`` that hangs costs its own
hook, nothing else.
"""

from __future__ import annotations

import threading

from ._kafka import Progress, install_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, Optional

    from . import GraceShut
    from ._graceshut import Context

__all__ = ["Messages"]

_POLL = 0.2


class Messages:
    """A ``confluent_kafka.Consumer`` as an iterator that takes part in the plan. Used on one thread.

    ``timeout``: seconds that each step (finish, commit, leave) may take; its phase bounds it anyway.
    Messages that are errors are raised as ``KafkaException``.
    """

    def __init__(self, consumer: Any, *, timeout: Optional[float] = None, gs: Optional[GraceShut] = None) -> None:
        self.consumer: Any = consumer
        self._timeout = timeout
        self._gs = install_of(gs)
        self._progress = Progress()
        self._in_hand: Any = None
        self._ends = False
        self._idle = threading.Event()
        self._hooks: list[Any] = []

    def __enter__(self) -> Messages:
        for phase, step in (("drain", self._pause), ("flush", self._commit), ("close", self._leave)):
            self._hooks.append(self._gs.hook(phase, step, name="kafka", timeout=self._timeout))
        return self

    def __exit__(self, kind: Optional[type[BaseException]], error: Optional[BaseException], tb: Optional[TracebackType]) -> None:
        self._end_of_message(done=error is None)
        self._ends = True
        self._idle.set()
        if self._gs.stopping:
            return  # the hooks do the rest
        for hook in self._hooks:
            hook.remove()
        try:
            self.commit()
        finally:
            self.consumer.close()

    def __iter__(self) -> Messages:
        return self

    def __next__(self) -> Any:
        self._end_of_message(done=True)
        self._idle.clear()
        while not self._ends:
            message = self.consumer.poll(_POLL)
            if message is None:
                continue
            if message.error() is not None:
                self._idle.set()
                from confluent_kafka import KafkaException

                raise KafkaException(message.error())
            if self._ends or not self._gs.enter():
                break
            self._in_hand = message
            return message
        self._idle.set()
        raise StopIteration

    def commit(self) -> None:
        """Commits the offsets of the messages that are done; blocks until the broker has them."""
        from confluent_kafka import TopicPartition

        assigned = {(tp.topic, tp.partition) for tp in self.consumer.assignment()}
        offsets = self._progress.to_commit(assigned)
        if offsets:
            self.consumer.commit(offsets=[TopicPartition(*tp, at) for tp, at in offsets.items()], asynchronous=False)
            self._progress.committed(offsets)

    def _end_of_message(self, done: bool) -> None:
        message, self._in_hand = self._in_hand, None
        if message is not None:
            if done:
                self._progress.done(message.topic(), message.partition(), message.offset())
            self._gs.leave()

    def _pause(self, ctx: Context) -> None:
        self._ends = True
        self.consumer.pause(self.consumer.assignment())
        while not self._idle.wait(0.01) and not ctx.cancelled:
            pass

    def _commit(self, ctx: Context) -> None:
        self.commit()

    def _leave(self, ctx: Context) -> None:
        self.consumer.close()
