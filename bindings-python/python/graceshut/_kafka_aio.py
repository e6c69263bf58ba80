"""One aiokafka consumer in its group; what ``Batches`` and ``Messages`` of :mod:`graceshut.aiokafka` share."""

from __future__ import annotations

import asyncio

from ._kafka import ENDED, LOOPING, POLL, Ledger, checked, log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Awaitable, Callable, Optional

    from . import GraceShut
    from ._graceshut import Context

    #: With a set of TopicPartitions; may give a coroutine.
    OnPartitions = Callable[[Any], object]


def place(record: Any) -> tuple[str, int, int]:
    return record.topic, record.partition, record.offset


class Member:
    """One consumer in its group: started, asked by one task, committed, left. Everything runs in one loop."""

    def __init__(self, gs: GraceShut, consumer: Any, topics: Any, timeout: Optional[float], on_assign: Optional[OnPartitions]) -> None:
        import graceshut

        self.consumer: Any = consumer
        self._gs, self._timeout, self._on_assign = gs, timeout, on_assign
        self._topics = checked(topics)
        if getattr(consumer, "_enable_auto_commit", False):
            raise graceshut.BadValue("the consumer commits by itself what was not written: make it with enable_auto_commit=False")
        self._ledger = Ledger()
        #: Held during a write and its commit: a revocation waits for both.
        self._writing = asyncio.Lock()
        self._leaving, self._loop_over, self._all_over = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._left = False
        #: What ended the loop, or its last write.
        self._failure: Optional[BaseException] = None
        self._hooks: list[Any] = []

    async def _join(self) -> None:
        if self._gs.draining:
            return await self._leave()
        try:
            for phase, step in (("drain", self._drain), ("flush", self._flush), ("close", self._leave)):
                self._hooks.append(self._gs.hook(phase, step, name="kafka", timeout=self._timeout))
            self.consumer.subscribe(self._topics, listener=_listener(self))
            await self.consumer.start()
        except BaseException as error:
            await self._leave_without_a_plan(error)
            raise

    async def _poll(self, seconds: float, most: int) -> list[Any]:
        from aiokafka.errors import KafkaError

        try:
            found = await self.consumer.getmany(timeout_ms=int(seconds * 1000), max_records=most)
        except KafkaError as error:
            if not error.retriable:
                raise
            log("Kafka: %r; the client goes on by itself", error)
            await asyncio.sleep(POLL)
            return []
        return [record for records in found.values() for record in records]

    async def _commit(self, only: Optional[set[tuple[str, int]]] = None) -> None:
        """KafkaError where the broker has not what is done; the next commit tries again."""
        from aiokafka import TopicPartition

        offsets = {} if self._left else self._ledger.to_commit(only)
        if offsets:
            await self.consumer.commit({TopicPartition(*one): at for one, at in offsets.items()})
            self._ledger.committed(offsets)

    async def _commit_or_go_on(self) -> None:
        """In the loop: the next commit makes up for one that the client may try again."""
        from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

        try:
            await self._commit()
        except KafkaError as error:
            # The first two: the group has rebalanced meanwhile.
            if not (error.retriable or isinstance(error, (CommitFailedError, IllegalStateError))):
                raise
            log("Kafka: not committed, the next commit tries again: %r", error)

    # ---- called by the client

    async def _revoked(self, partitions: set[tuple[str, int]]) -> None:
        try:
            # When the group is left nothing is waited for here: flush has done what could be done, and the leave comes after this.
            await first_of(self._commit_before(partitions), self._leaving.wait())
        finally:
            self._forget(partitions)

    async def _commit_before(self, partitions: set[tuple[str, int]]) -> None:
        from aiokafka.errors import KafkaError

        try:
            await self._settle(partitions)
        except Exception as error:
            log("Kafka: on_revoke failed, what was not done is the next member's: %r", error)
        async with self._writing:
            try:
                await self._commit(partitions)
            except KafkaError as error:
                log("Kafka: not committed before the partitions were revoked: %r", error)

    async def _settle(self, partitions: set[tuple[str, int]]) -> None:
        """What can still be done before these are committed and go."""

    def _forget(self, partitions: set[tuple[str, int]]) -> None:
        self._ledger.forget(partitions)

    # ---- hooks

    async def _drain(self, ctx: Context) -> None:
        await wait_for(self._loop_over, ctx, LOOPING)

    async def _flush(self, ctx: Context) -> None:
        raise NotImplementedError

    def _raise_failure(self) -> None:
        if isinstance(self._failure, Exception):
            raise self._failure
        if self._failure is not None:
            raise RuntimeError(ENDED % (self._failure,))

    async def _leave(self) -> None:
        """Commits what has been done since, and leaves the group."""
        self._leaving.set()
        try:
            if not self._writing.locked() and self.consumer.assignment():
                await self._commit()
        finally:
            # A write that returns later is no member's any more.
            self._left = True
            await self.consumer.stop()

    async def _leave_without_a_plan(self, error: Optional[BaseException]) -> None:
        """The loop has ended, of ``error``, and no shutdown is under way. A hook that runs already does the same."""
        for hook in self._hooks:
            hook.remove()
        try:
            await self._leave()
        except Exception as e:
            if error is None:
                raise
            log("Kafka: when the group was left: %r", e)  # the program's own error is the one to hear of


def _listener(member: Member) -> Any:
    from aiokafka.abc import ConsumerRebalanceListener

    class Listener(ConsumerRebalanceListener):  # type: ignore[misc]
        async def on_partitions_revoked(self, revoked: Any) -> None:
            await member._revoked(set(revoked))

        async def on_partitions_assigned(self, assigned: Any) -> None:
            member._ledger.assign(assigned)
            if member._on_assign is not None:
                await called(member._on_assign, assigned)

    return Listener()


async def called(f: OnPartitions, partitions: Any) -> None:
    result: Any = f(partitions)
    if hasattr(result, "__await__"):
        await result


async def first_of(*two: Awaitable[Any]) -> None:
    """Waits until one of two is over; the other is cancelled. What the first one raised is raised."""
    tasks = [asyncio.ensure_future(one) for one in two]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()


async def wait_for(event: asyncio.Event, ctx: Context, otherwise: str) -> None:
    """Until the event, or the hook's cancellation, which is a failure with words here."""
    try:
        await event.wait()
    except asyncio.CancelledError:
        if not ctx.cancelled:
            raise
        raise TimeoutError(otherwise) from None
