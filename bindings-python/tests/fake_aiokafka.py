"""fake_kafka.py's broker behind aiokafka's interface: everything in one loop, rebalances in a task of their own beside the program's.

A member that was thrown out hears of it late: its commits are refused until then. ``stop`` waits for a callback under way, as the
real one does.
"""

from __future__ import annotations

import asyncio
import time

from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaConnectionError
from fake_kafka import TOPIC, Broker


class Record:
    def __init__(self, partition: int, offset: int) -> None:
        self.topic, self.partition, self.offset = TOPIC, partition, offset


class Consumer:
    """Each ``getmany`` plays one step of the script; at its end the process gets its signal."""

    def __init__(self, broker: Broker, script: list, signal) -> None:
        self.broker, self.script, self.signal = broker, list(script), signal
        self.position: dict[int, int] = {}
        self.refusals = 0
        self.stopped = False
        self.rebalances: asyncio.Task | None = None
        self.rebalancing = 0

    def subscribe(self, topics, listener) -> None:
        self.listener = listener

    async def start(self) -> None:
        pass

    def assignment(self):
        return set(_places(self.position))

    async def getmany(self, timeout_ms=0, max_records=None):
        self._check("getmany")
        await asyncio.sleep(0)
        if self.rebalancing:
            await asyncio.sleep(min(timeout_ms, 1) / 1000)
            return {}
        if not self.script:
            self.signal()
            await asyncio.sleep(0.001)
            return {}
        what, *rest = self.script.pop(0)
        return getattr(self, "_" + what)(*rest) or {}

    async def commit(self, offsets):
        self._check("commit")
        for place in offsets:
            if place.partition not in self.position:
                raise IllegalStateError("%r is not assigned" % (place,))
        if self.refusals > 0 or any(self.broker.began[place.partition] is None for place in offsets):
            self.refusals -= self.refusals > 0
            raise CommitFailedError("the group has rebalanced")
        await asyncio.sleep(0)
        for place, offset in offsets.items():
            self.broker.commit(place.partition, offset)

    async def stop(self) -> None:
        self.stopped = True
        if self.rebalances is not None:
            await self.rebalances
        self._pass_on(set(self.position), 0)

    def _check(self, name: str) -> None:
        if self.stopped:
            self.broker.wrong.append("%s after stop" % name)

    # ---- steps

    def _message(self, partition: int):
        if partition not in self.position:
            return None
        offset = self.position[partition]
        self.position[partition] += 1
        return {TopicPartition(TOPIC, partition): [Record(partition, offset)]}

    def _nothing(self):
        return None

    def _error(self, code: int):
        raise KafkaConnectionError("the broker is away")

    def _refuse(self, count: int):
        self.refusals = count

    def _signal(self):
        self.signal()

    def _assign(self, partitions: set[int]):
        self._begin(self._assigned(partitions))

    def _revoke(self, partitions: set[int], read_on: int):
        self._begin(self._revoked(partitions, read_on, late=False))

    def _lose(self, partitions: set[int], read_on: int):
        self._begin(self._revoked(partitions, read_on, late=True))

    def _begin(self, rebalance) -> None:
        self.rebalancing += 1
        self.rebalances = asyncio.ensure_future(self._after(self.rebalances, rebalance))

    async def _after(self, before, rebalance) -> None:
        if before is not None:
            await before
        await rebalance
        self.rebalancing -= 1

    async def _assigned(self, partitions: set[int]) -> None:
        new = set() if self.stopped else partitions - set(self.position)
        for one in new:
            self.position[one] = self.broker.began[one] = self.broker.committed[one]
        await self.listener.on_partitions_assigned(set(_places(new)))

    async def _revoked(self, partitions: set[int], read_on: int, late: bool) -> None:
        gone = partitions & set(self.position)
        if late:
            self._read_on(gone, read_on)
        await self.listener.on_partitions_revoked(set(_places(gone)))
        if not late:
            self._read_on(gone, read_on)
        for one in gone:
            self.position.pop(one, None)

    def _pass_on(self, gone: set[int], read_on: int) -> None:
        self._read_on(gone, read_on)
        for one in gone:
            self.position.pop(one, None)

    def _read_on(self, gone: set[int], read_on: int) -> None:
        for one in gone:
            self.broker.began[one] = None
            at = self.broker.committed[one]
            self.broker.written |= {(one, o) for o in range(at, at + read_on)}
            self.broker.committed[one] = at + read_on


def _places(partitions) -> list[TopicPartition]:
    return [TopicPartition(TOPIC, one) for one in sorted(partitions)]


class Flag:
    def __init__(self) -> None:
        self._event = asyncio.Event()

    def __bool__(self) -> bool:
        return self._event.is_set()

    def set(self) -> None:
        self._event.set()

    async def wait(self) -> bool:
        return await self._event.wait()


class Context:
    def __init__(self, budget: float) -> None:
        self.deadline, self.cancelled = time.monotonic() + budget, False


class Hook:
    def __init__(self, plan: Plan, entry: tuple) -> None:
        self.plan, self.entry = plan, entry

    def remove(self) -> None:
        if self.entry in self.plan.hooks:
            self.plan.hooks.remove(self.entry)


class Plan:
    """Hooks as tasks of the loop, cancelled at two thirds of ``budget`` and abandoned at its end."""

    def __init__(self, budget: float) -> None:
        self.budget = budget
        self.hooks: list[tuple] = []
        self.stopping, self.draining, self.stopped = Flag(), Flag(), Flag()
        self.outcomes: dict[str, str] = {}
        self._task: asyncio.Task | None = None

    def hook(self, phase, fn, name=None, timeout=None) -> Hook:
        self.hooks.append((phase, fn))
        return Hook(self, self.hooks[-1])

    def signal(self) -> None:
        if self._task is None:
            self.stopping.set()
            self.draining.set()
            self._task = asyncio.ensure_future(self._run())

    async def _run(self) -> None:
        for phase in ("drain", "flush", "close"):
            for _, fn in [one for one in list(self.hooks) if one[0] == phase]:
                await self._one(phase, fn)
        self.stopped.set()

    async def _one(self, phase: str, fn) -> None:
        ctx = Context(self.budget)
        task = asyncio.ensure_future(fn() if fn.__code__.co_argcount == 1 else fn(ctx))
        done, _ = await asyncio.wait([task], timeout=self.budget * 2 / 3)
        if not done:
            ctx.cancelled = True
            task.cancel()
            done, _ = await asyncio.wait([task], timeout=self.budget / 3)
        if not done:
            self.outcomes[phase] = "abandoned"
        elif task.cancelled():
            self.outcomes[phase] = "cancelled"
        else:
            self.outcomes[phase] = "ok" if task.exception() is None else repr(task.exception())
