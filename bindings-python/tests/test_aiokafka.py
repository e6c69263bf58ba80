"""Acknowledged consumption with aiokafka (spec 9.7): rebalances run beside the write, and still nothing unwritten is committed."""

from __future__ import annotations

import asyncio

import pytest

pytest.importorskip("aiokafka", reason="installed beside the main interpreter only")
pytest.importorskip("hypothesis", reason="installed beside the main interpreter only")

from fake_aiokafka import Consumer, Plan  # noqa: E402
from fake_kafka import LIMIT, TOPIC, Broker  # noqa: E402
from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from test_kafka import PARTITIONS, SIZE, many, read, scripts, some  # noqa: E402

import graceshut  # noqa: E402
from graceshut.aiokafka import Batches, Messages  # noqa: E402

#: What each write comes to; the last two are a rebalance while it is under way.
writes = st.lists(
    st.one_of(
        st.sampled_from([("ok",), ("ok",), ("raise",), ("hang",)]),
        st.tuples(st.sampled_from(["revoke", "lose"]), some, st.integers(0, 4)),
    ),
    max_size=8,
)


class World:
    def __init__(self, script, writes=(), budget=5.0) -> None:
        self.script, self.writes, self.budget = script, list(writes), budget
        self.error: BaseException | None = None

    async def write(self, messages) -> None:
        what, *rest = self.writes.pop(0) if self.writes else ("ok",)
        if what == "raise":
            raise OSError("the store is down")
        if what == "hang":
            self.plan.signal()
            await self.hung.wait()
        if what in ("revoke", "lose"):
            getattr(self.consumer, "_" + what)(*rest)
            for _ in range(10):
                await asyncio.sleep(0)
        self.broker.write([_AsRead(one) for one in messages])

    async def _play(self, program) -> None:
        self.broker, self.plan, self.hung = Broker(PARTITIONS), Plan(self.budget), asyncio.Event()
        self.consumer = Consumer(self.broker, self.script, self.plan.signal)
        task = asyncio.ensure_future(program(self))
        over = asyncio.ensure_future(self.plan.stopped.wait())
        await asyncio.wait([task, over], timeout=LIMIT, return_when=asyncio.FIRST_COMPLETED)
        if self.plan.stopping:
            await asyncio.wait_for(over, LIMIT)
        over.cancel()
        self.hung.set()
        try:
            await asyncio.wait_for(task, LIMIT)
        except OSError as error:
            self.error = error

    def play(self, program) -> World:
        asyncio.run(self._play(program))
        return self


class _AsRead:
    """A record as the broker in memory asks for it."""

    def __init__(self, record) -> None:
        self.partition, self.offset = lambda: record.partition, lambda: record.offset


async def batches(world: World) -> None:
    await Batches(world.plan, world.consumer, [TOPIC], world.write, size=SIZE).run()


async def messages(world: World) -> None:
    async with Messages(world.plan, world.consumer, [TOPIC], tick=0.001, seconds=0.005) as source:
        async for one in source:
            if one is not None:
                await world.write([one])
                source.done(one)


@pytest.mark.parametrize("program", [batches, messages])
@many
@given(script=scripts, writes=writes)
def test_nothing_is_committed_that_was_not_written(program, script, writes):
    world = World(script, writes, budget=0.06).play(program)
    assert not world.broker.wrong


@many
@given(script=scripts, writes=st.lists(st.tuples(st.just("revoke"), some, st.integers(0, 4)), max_size=4))
def test_what_was_written_is_committed_when_the_partition_goes(script, writes):
    """Also where it goes in the middle of a write."""
    world = World([one for one in script if one[0] not in ("refuse", "lose")], writes).play(batches)
    assert not world.broker.wrong and world.broker.twice == 0
    assert all(world.broker.committed[p] > o for p, o in world.broker.written)
    assert set(world.plan.outcomes.values()) == {"ok"} and world.consumer.stopped


def test_a_revocation_that_waits_for_a_stuck_write_does_not_hold_up_the_leave():
    """The client's `stop` waits for the callback, which waits for the write: the leave would never be sent."""
    script = [*read(0, 0), ("message", 0)]

    async def stuck(world: World) -> None:
        async def write(messages) -> None:
            world.consumer._revoke({0}, 0)
            await asyncio.sleep(0.01)
            world.plan.signal()
            await world.hung.wait()

        await Batches(world.plan, world.consumer, [TOPIC], write, size=SIZE).run()

    world = World(script, budget=0.5).play(stuck)
    assert "write is still under way" in world.plan.outcomes["flush"]
    assert world.plan.outcomes["close"] == "ok" and world.consumer.stopped and world.broker.committed[0] == 0


def test_a_consumer_that_commits_by_itself_is_refused():
    class Automatic:
        _enable_auto_commit = True

    async def make() -> None:
        with pytest.raises(graceshut.BadValue, match="enable_auto_commit=False"):
            Batches(Plan(1), Automatic(), [TOPIC], print)

    asyncio.run(make())


def test_cancelled_while_stopping_the_rest_is_written_all_the_same():
    async def swept(world: World) -> None:
        task = asyncio.ensure_future(batches(world))
        while len(world.consumer.script):
            await asyncio.sleep(0)
        world.plan.signal()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    world = World(read(0, 1)).play(swept)
    assert world.broker.committed == [1, 1, 0] and set(world.plan.outcomes.values()) == {"ok"}
