"""aiokafka: a consumer that pauses, finishes, commits and leaves its group inside the budget.

    async with graceshut.aiokafka.Messages(consumer) as messages:
        async for message in messages:
            await handle(message)

Each message is work in flight until the next one is asked for. ``drain``: partitions are paused and the loop ends after the
message in hand. ``flush``: the offsets of finished messages are committed, and no others; make the consumer with
``enable_auto_commit=False``. ``close``: the consumer leaves its group, so that the others need not wait for its timeout.
"""

from __future__ import annotations

import asyncio

from ._kafka import Progress, install_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, Optional

    from . import GraceShut
    from ._graceshut import Context

__all__ = ["Messages"]

_POLL_MS = 200


class Messages:
    """An ``AIOKafkaConsumer`` as an asynchronous iterator that takes part in the plan.

    ``timeout``: seconds that each step (finish, commit, leave) may take; its phase bounds it anyway. Used inside one loop.
    """

    def __init__(self, consumer: Any, *, timeout: Optional[float] = None, gs: Optional[GraceShut] = None) -> None:
        self.consumer: Any = consumer
        self._timeout = timeout
        self._gs = install_of(gs)
        self._progress = Progress()
        self._batch: list[Any] = []
        self._in_hand: Any = None
        self._ends = self._left = False
        self._idle = asyncio.Event()
        self._hooks: list[Any] = []

    async def __aenter__(self) -> Messages:
        await self.consumer.start()
        for phase, step in (("drain", self._pause), ("flush", self._commit), ("close", self._leave)):
            self._hooks.append(self._gs.hook(phase, step, name="kafka", timeout=self._timeout))
        return self

    async def __aexit__(self, kind: Optional[type[BaseException]], error: Optional[BaseException], tb: Optional[TracebackType]) -> None:
        self._end_of_message(done=error is None)
        self._ends = True
        self._idle.set()
        if self._gs.stopping:
            # The hooks do the rest, on this loop.
            await self._gs.stopped.wait()
            return
        for hook in self._hooks:
            hook.remove()
        try:
            await self.commit()
        finally:
            await self.consumer.stop()

    def __aiter__(self) -> Messages:
        return self

    async def __anext__(self) -> Any:
        self._end_of_message(done=True)
        while not self._ends:
            if not self._batch:
                self._idle.set()
                # One that may be cancelled loses nothing: what it fetched and did not give is fetched again.
                polled = await self.consumer.getmany(timeout_ms=_POLL_MS, max_records=100)
                self._idle.clear()
                self._batch = [message for messages in polled.values() for message in messages]
            elif self._gs.enter():
                self._in_hand = self._batch.pop(0)
                return self._in_hand
            else:
                break
        self._idle.set()
        raise StopAsyncIteration

    async def commit(self) -> None:
        """Commits the offsets of the messages that are done."""
        from aiokafka import TopicPartition

        assigned = {(tp.topic, tp.partition) for tp in self.consumer.assignment()}
        offsets = self._progress.to_commit(assigned)
        if offsets:
            await self.consumer.commit({TopicPartition(*tp): at for tp, at in offsets.items()})
            self._progress.committed(offsets)

    def _end_of_message(self, done: bool) -> None:
        message, self._in_hand = self._in_hand, None
        if message is not None:
            if done:
                self._progress.done(message.topic, message.partition, message.offset)
            self._gs.leave()

    async def _pause(self, ctx: Context) -> None:
        self._ends = True
        self._batch.clear()
        self.consumer.pause(*self.consumer.assignment())
        while self._in_hand is not None:
            await asyncio.sleep(0.01)

    async def _commit(self, ctx: Context) -> None:
        await self.commit()

    async def _leave(self, ctx: Context) -> None:
        await self.consumer.stop()
