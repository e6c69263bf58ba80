"""Acknowledged consumption (spec 9.7): whatever happens in whatever order, nothing is committed that was not written.

Over a broker in memory here, whose events are drawn; `make test-kafka` does it with a real one.
"""

from __future__ import annotations

import threading

import pytest

pytest.importorskip("confluent_kafka", reason="installed beside the main interpreter only")
pytest.importorskip("hypothesis", reason="installed beside the main interpreter only")

from confluent_kafka import KafkaError  # noqa: E402
from fake_kafka import LIMIT, TOPIC, Broker, Consumer, Plan  # noqa: E402
from hypothesis import HealthCheck, given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

import graceshut  # noqa: E402
from graceshut._kafka import Ledger  # noqa: E402
from graceshut.confluent_kafka import Batches, Messages  # noqa: E402

PARTITIONS = 3
SIZE = 3
#: Errors after which the client goes on by itself.
PASSING = [KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._MAX_POLL_EXCEEDED, KafkaError.REBALANCE_IN_PROGRESS]

some = st.sets(st.integers(0, PARTITIONS - 1), min_size=1)
message = st.tuples(st.just("message"), st.integers(0, PARTITIONS - 1))
step = st.one_of(
    message, message, message, message,
    st.tuples(st.just("nothing")),
    st.tuples(st.just("error"), st.sampled_from(PASSING)),
    st.tuples(st.just("refuse"), st.integers(1, 3)),
    st.tuples(st.just("assign"), some),
    st.tuples(st.just("revoke"), some, st.integers(0, 4)),
    st.tuples(st.just("lose"), some, st.integers(0, 4)),
    st.tuples(st.just("signal")),
)
scripts = st.lists(step, max_size=40).map(lambda steps: [("assign", set(range(PARTITIONS))), *steps])
writes = st.lists(st.sampled_from(["ok", "ok", "ok", "raise", "hang"]), max_size=8)
many = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])


class World:
    """A broker and a consumer under a script; ``writes`` says what each write comes to (the signal comes in one that hangs), and then
    they succeed."""

    def __init__(self, script, writes=(), budget=5.0) -> None:
        self.broker = Broker(PARTITIONS)
        self.plan = Plan(budget)
        self.hung = threading.Event()
        self.consumer = Consumer(self.broker, script, self.plan.signal, self.hung)
        self.writes = list(writes)
        self.thread = threading.current_thread()
        self.error: BaseException | None = None

    def write(self, messages) -> None:
        if threading.current_thread() is not self.thread:
            self.broker.wrong.append("written on another thread than the loop's")
        what = self.writes.pop(0) if self.writes else "ok"
        if what == "raise":
            raise OSError("the store is down")
        if what == "hang":
            self.plan.signal()
            self.hung.wait(LIMIT)
        self.broker.write(messages)

    def play(self, program) -> World:
        """Runs the program to its end; a write that hangs comes back when the plan is over."""

        def run() -> None:
            self.thread = threading.current_thread()
            try:
                program(self)
            except OSError as error:
                self.error = error
            except BaseException as error:
                self.broker.wrong.append("the program ended with %r" % error)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        while thread.is_alive() and not self.plan.over.wait(0.001):
            thread.join(0.001)
        if thread.is_alive() or self.plan.stopping:
            assert self.plan.over.wait(LIMIT), "the plan is not over"
        self.hung.set()
        thread.join(LIMIT)
        assert not thread.is_alive(), "the program is not over"
        return self


def batches(world: World) -> None:
    Batches(world.plan, world.consumer, [TOPIC], world.write, size=SIZE).run()


def messages(world: World) -> None:
    """A program that collects messages itself, and calls done what it has written."""
    buffer: list = []

    def revoked(consumer, partitions) -> None:
        gone = {one.partition for one in partitions}
        buffer[:] = [one for one in buffer if one.partition() not in gone]

    with Messages(world.plan, world.consumer, [TOPIC], tick=0.001, seconds=0.005, on_revoke=revoked) as source:
        for one in source:
            if one is not None:
                buffer.append(one)
            if len(buffer) >= SIZE:
                world.write(buffer)
                source.done(*reversed(buffer))
                buffer.clear()
        world.write(buffer)
        source.done(*buffer)


@pytest.mark.parametrize("program", [batches, messages])
@many
@given(script=scripts, writes=writes)
def test_nothing_is_committed_that_was_not_written(program, script, writes):
    world = World(script, writes, budget=0.04).play(program)
    assert not world.broker.wrong


@pytest.mark.parametrize("program", [batches, messages])
@many
@given(script=scripts)
def test_what_was_written_is_committed_when_the_partition_goes(program, script):
    """Where the broker takes commits and no partition is lost unasked, the next member reads nothing twice."""
    world = World([one for one in script if one[0] not in ("refuse", "lose")]).play(program)
    assert not world.broker.wrong and world.broker.twice == 0
    assert all(world.broker.committed[p] > o for p, o in world.broker.written)
    assert set(world.plan.outcomes.values()) == {"ok"} and world.consumer.closed


def read(*partitions: int) -> list:
    return [("assign", set(range(PARTITIONS))), *(("message", p) for p in partitions)]


def test_a_revoked_partition_is_forgotten():
    """F2: another member reads it on to 100; on our way out nothing sets it back."""
    world = World([*read(0, 0, 0), ("revoke", {0}, 97), ("assign", {0}), ("signal",)]).play(batches)
    assert world.broker.committed[0] == 100 and not world.broker.wrong


def test_written_and_not_committed_is_forgotten_as_well():
    world = World([*read(0), ("refuse", 3), ("message", 0), ("message", 0), ("revoke", {0}, 5), ("signal",)]).play(batches)
    assert world.broker.committed[0] == 5 and not world.broker.wrong
    world = World([*read(0), ("refuse", 1), ("message", 0), ("message", 0), ("revoke", {0}, 0), ("signal",)]).play(batches)
    assert world.broker.committed[0] == 3 and not world.broker.wrong


def test_a_client_is_not_closed_under_a_call():
    world = World([*read(0), ("block",)], budget=0.5).play(batches)
    assert "has not returned" in world.plan.outcomes["close"] and not world.consumer.closed and not world.broker.wrong
    assert "under way" in world.plan.outcomes["drain"]


def test_errors_that_the_client_retries_end_nothing():
    """F8."""
    steps = [("error", code) for code in PASSING]
    world = World([*read(0), *steps, ("message", 0), ("refuse", 1), ("message", 0), ("message", 0)]).play(batches)
    assert world.broker.committed[0] == 4 and world.plan.outcomes["flush"] == "ok"


def test_a_write_that_hangs_is_not_called_clean():
    """F1, F7: the plan says so, leaves the group all the same, and what comes back late commits nothing."""
    world = World(read(0, 0, 0), ["hang"], budget=0.5).play(batches)
    assert "write is still under way" in world.plan.outcomes["drain"] and "write is still under way" in world.plan.outcomes["flush"]
    assert world.plan.outcomes["close"] == "ok" and world.broker.committed[0] == 0 and not world.broker.wrong


def test_a_store_that_is_down_is_tried_once_more():
    world = World([*read(0, 0), ("signal",)], ["raise"]).play(batches)
    assert world.plan.outcomes["flush"] == "ok" and world.broker.committed[0] == 2
    world = World([*read(0, 0), ("signal",)], ["raise", "raise"]).play(batches)
    assert "the store is down" in world.plan.outcomes["flush"] and world.broker.committed[0] == 0


def test_an_exception_in_the_loop_commits_nothing_unwritten():
    """F1, without any signal: the group is left, and what `write` raised is the program's."""
    world = World(read(0, 1, 2), ["raise"]).play(batches)
    assert isinstance(world.error, OSError) and world.consumer.closed and not world.plan.hooks
    assert world.broker.committed == [0, 0, 0]


def test_a_block_that_is_not_left_is_said():
    def stays(world: World) -> None:
        with Messages(world.plan, world.consumer, [TOPIC]) as source:
            for one in source:
                source.done(one)
                world.broker.write([one])
            world.hung.wait(LIMIT)

    world = World([*read(0), ("signal",)], budget=0.5).play(stays)
    assert world.plan.outcomes["drain"] == "ok" and "has not been left" in world.plan.outcomes["flush"]
    assert world.broker.committed[0] == 1


def test_a_block_that_an_error_ended_is_not_called_clean():
    def fails(world: World) -> None:
        with Messages(world.plan, world.consumer, [TOPIC]) as source:
            buffer = list(source)
            world.write(buffer)
            source.done(*buffer)

    world = World([*read(0), ("signal",)], ["raise"]).play(fails)
    assert "the store is down" in world.plan.outcomes["flush"] and world.broker.committed[0] == 0
    assert world.plan.outcomes["close"] == "ok" and isinstance(world.error, OSError)


def test_a_message_in_hand_that_is_done_is_committed():
    """F5."""

    def one_by_one(world: World) -> None:
        with Messages(world.plan, world.consumer, [TOPIC]) as source:
            for count, one in enumerate(source, 1):
                world.broker.write([one])
                source.done(one)
                source.commit()
                assert world.broker.committed[0] == count

    world = World([*read(0, 0, 0), ("signal",)]).play(one_by_one)
    assert world.broker.committed[0] == 3 and not world.broker.wrong


def test_a_client_that_commits_by_itself_is_told_of():
    def refused(world: World) -> None:
        with pytest.raises(graceshut.BadValue, match=r"orders\[0\] up to 2, .* up to 0: .*enable.auto.commit: False"):
            batches(world)

    World([*read(0, 0), ("by_itself", 0), ("message", 0)]).play(refused)


def test_a_tick_comes_while_nothing_else_does():
    """F3."""
    found: list = []

    def ticks(world: World) -> None:
        with Messages(world.plan, world.consumer, [TOPIC], tick=0.001) as source:
            found.extend(source)

    World([*read(), *[("nothing",)] * 40, ("signal",)]).play(ticks)
    assert found and set(found) == {None}


@given(st.lists(st.integers(0, 9), min_size=1, max_size=10), st.permutations(range(10)))
def test_only_what_lies_before_the_first_open_one(taken, order):
    ledger, done = Ledger(), set()
    ledger.assign([(TOPIC, 0)])
    offsets = sorted(set(taken))
    for one in offsets:
        assert ledger.take(TOPIC, 0, one)
    for one in order:
        ledger.done(TOPIC, 0, one)
        done.add(one)
        still = [o for o in offsets if o not in done]
        at = still[0] if still else offsets[-1] + 1
        assert ledger.to_commit() == ({(TOPIC, 0): at} if at > offsets[0] else {})


def test_wrong_arguments_name_the_culprit():
    world = World([])
    for words, arguments in (("topics", {"topics": []}), ("size", {"topics": TOPIC, "size": 0}), ("seconds", {"topics": TOPIC, "seconds": 0})):
        with pytest.raises(graceshut.BadValue, match=words):
            Batches(world.plan, world.consumer, write=world.write, **arguments)
