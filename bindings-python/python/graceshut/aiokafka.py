"""aiokafka: messages are written, then committed, and the group is left inside the budget.

    await graceshut.aiokafka.Batches(gs, consumer, ["orders"], write).run()

``await write(messages)`` gets up to ``size`` messages, the oldest of them at most ``seconds`` old. What it returned from is
committed, and nothing else is. Where a program wants to say itself what is done::

    async with graceshut.aiokafka.Messages(gs, consumer, ["orders"]) as messages:
        async for message in messages:
            await handle(message)
            messages.done(message)

Make the consumer with ``enable_auto_commit=False`` and without topics, inside the loop; both subscribe and start it.

``drain``: no more is taken. ``flush``: what is left is written and committed. ``close``: the group is left, so that the others
need not wait for a session to end. Before partitions are revoked what is there is written and committed; what cannot be is the next
member's. Errors that the client retries by itself are logged (logger ``graceshut``) and end nothing.
"""

from __future__ import annotations

import asyncio
import time

from ._kafka import INSIDE, POLL, WRITING, Buffer, checked, log
from ._kafka_aio import Member, called, first_of, place, wait_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, Awaitable, Callable, Optional

    from . import GraceShut
    from ._graceshut import Context
    from ._kafka_aio import OnPartitions

__all__ = ["Batches", "Messages"]

#: Records that ``Messages`` asks for at a time.
_AT_ONCE = 100


class Batches(Member):
    """Writes messages in batches, and commits what was written.

    ``await write(messages)``: called in the loop of :meth:`run`, one call at a time, with a list of ConsumerRecords, in the order they
    came; it returns when they are stored, or raises. It may get a message a second time (after a crash, a failed commit, a
    rebalance), so it should write by id. ``size``: the most messages in a batch. ``seconds``: the oldest one waits no longer.
    ``timeout``: seconds that each step of the plan may take; its phase bounds it anyway. ``on_assign(partitions)``: called, or
    awaited, at each assignment.
    """

    def __init__(
        self, gs: GraceShut, consumer: Any, topics: Any, write: Callable[[list[Any]], Awaitable[object]], size: int = 500,
        seconds: float = 5.0, *, timeout: Optional[float] = None, on_assign: Optional[OnPartitions] = None,
    ) -> None:
        super().__init__(gs, consumer, topics, timeout, on_assign)
        checked(topics, size, seconds)
        self._write = write
        self._buffer = Buffer(size, seconds, place, self._ledger)
        self._flush_began = asyncio.Event()
        #: The program has cancelled `run` while it was stopping: the rest is written all the same.
        self._cancelled: Optional[asyncio.CancelledError] = None

    async def run(self) -> None:
        """Starts the consumer and consumes until the process stops; returns when the plan is over. Call it once.

        What ``write`` raises ends it, with nothing of that batch committed and the group left; once the process is stopping the
        batch is tried again instead, and what that raises is the outcome of the hook ``kafka`` in ``flush``.
        """
        await self._join()
        try:
            await self._run()
        finally:
            self._loop_over.set()
            self._all_over.set()
        # The hooks need this loop.
        await self._gs.stopped.wait()
        if self._cancelled is not None:
            raise self._cancelled

    async def _run(self) -> None:
        try:
            while not self._gs.draining:
                for record in await self._poll(self._buffer.wait(POLL), self._buffer.size - len(self._buffer)):
                    self._buffer.add(record)
                if self._buffer.is_due():
                    await self._write_batch()
        except BaseException as error:
            if not self._gs.stopping:
                await self._leave_without_a_plan(error)
                raise
            self._failure = error
            if self._gs.stopped or not isinstance(error, (Exception, asyncio.CancelledError)):
                raise
            if isinstance(error, asyncio.CancelledError):
                self._cancelled = error
            else:
                log("Kafka: stopping, and tried once more: %r", error)
        self._loop_over.set()
        await self._write_the_rest()

    async def _write_batch(self, commit: Optional[Callable[[], Awaitable[None]]] = None) -> None:
        async with self._writing:
            batch = self._buffer.batch()
            if batch:
                await self._write(batch)
                self._buffer.written(batch)
            await (commit or self._commit_or_go_on)()

    async def _write_the_rest(self) -> None:
        """At once, and where that fails once more in ``flush``."""
        for last in (False, True):
            if last:
                await first_of(self._flush_began.wait(), self._gs.stopped.wait())
            try:
                await self._write_batch(self._commit)
                self._failure = None
                return
            except (Exception, asyncio.CancelledError) as error:
                self._failure = error

    async def _settle(self, partitions: set[tuple[str, int]]) -> None:
        async with self._writing:
            if self._gs.draining or not len(self._buffer):
                return  # the last write does it
            batch = self._buffer.batch()
            try:
                await self._write(batch)
            except Exception as error:
                log("Kafka: not written before the partitions were revoked, the next member reads it: %r", error)
            else:
                self._buffer.written(batch)

    def _forget(self, partitions: set[tuple[str, int]]) -> None:
        super()._forget(partitions)
        self._buffer.forget(partitions)

    async def _drain(self, ctx: Context) -> None:
        await wait_for(self._loop_over, ctx, WRITING)

    async def _flush(self, ctx: Context) -> None:
        self._flush_began.set()
        await wait_for(self._all_over, ctx, WRITING)
        self._raise_failure()


class Messages(Member):
    """The messages one after another; what the program calls done is committed, every ``seconds`` and at the end.

    A message counts as done when :meth:`done` was called with it, and what is committed of a partition ends before its first message
    that is not. ``tick``: where nothing comes for so many seconds, the iterator gives None. Ends when ``drain`` begins; what was
    read can still be dealt with and called done until the block is left, for which ``flush`` waits.

    ``on_revoke(partitions)``: called, or awaited, before these are another member's; what is called done in it is still committed,
    and the rest a program that collects messages has to drop. Not called when the group is left. ``timeout`` and ``on_assign`` as
    for :class:`Batches`.
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
        #: Read from the client and not given yet.
        self._read: list[Any] = []

    async def __aenter__(self) -> Messages:
        await self._join()
        return self

    async def __aexit__(self, kind: Optional[type[BaseException]], error: Optional[BaseException], tb: Optional[TracebackType]) -> None:
        self._failure = error
        self._loop_over.set()
        self._all_over.set()
        if self._gs.stopping:
            # The hooks do the rest, on this loop.
            await self._gs.stopped.wait()
        else:
            await self._leave_without_a_plan(error)

    def __aiter__(self) -> Messages:
        return self

    async def __anext__(self) -> Any:
        until = None if self._tick is None else time.monotonic() + self._tick
        while not self._gs.draining:
            if time.monotonic() - self._committed_at >= self._seconds:
                self._committed_at = time.monotonic()
                async with self._writing:
                    await self._commit_or_go_on()
            while self._read and not self._gs.draining:
                record = self._read.pop(0)
                if self._ledger.take(*place(record)):
                    return record
            if until is not None and time.monotonic() >= until:
                return None
            if not self._gs.draining:
                self._read = await self._poll(POLL if until is None else min(max(until - time.monotonic(), 0.0), POLL), _AT_ONCE)
        self._loop_over.set()
        raise StopAsyncIteration

    def done(self, *messages: Any) -> None:
        """These need not be read again. In any order; None and messages of revoked partitions change nothing."""
        for message in messages:
            if message is not None:
                self._ledger.done(*place(message))

    async def commit(self) -> None:
        """Commits what is done now. Raises KafkaError."""
        async with self._writing:
            await self._commit()

    async def _settle(self, partitions: set[tuple[str, int]]) -> None:
        if self._on_revoke is not None:
            await called(self._on_revoke, partitions)

    def _forget(self, partitions: set[tuple[str, int]]) -> None:
        super()._forget(partitions)
        self._read = [record for record in self._read if place(record)[:2] not in partitions]

    async def _flush(self, ctx: Context) -> None:
        try:
            await wait_for(self._all_over, ctx, INSIDE)
        finally:
            await self.commit()
        self._raise_failure()
