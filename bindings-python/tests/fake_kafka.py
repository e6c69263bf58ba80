"""A broker, a store, a client and a plan in memory, driven by a script of events; for test_kafka.py.

The client has confluent-kafka's interface and its threads: callbacks run inside ``poll`` and ``close``, and to close it under a call
of another thread is a crash. The broker takes every commit, as a real one does from a member of the present generation; what it
must never see is noted in ``wrong``.
"""

from __future__ import annotations

import threading
import time

from confluent_kafka import KafkaError, KafkaException, TopicPartition

TOPIC = "orders"
LIMIT = 20.0


class Broker:
    """Committed offsets, whose each partition is, and the store that messages are written into."""

    def __init__(self, partitions: int) -> None:
        self.committed = [0] * partitions
        #: Where our present assignment of a partition began; None where it is not ours.
        self.began: list[int | None] = [None] * partitions
        self.written: set[tuple[int, int]] = set()
        self.twice = 0
        self.wrong: list[str] = []
        self.lock = threading.Lock()

    def commit(self, partition: int, offset: int) -> None:
        with self.lock:
            began = self.began[partition]
            if began is None:
                self.wrong.append("partition %d is not ours, and was committed at %d" % (partition, offset))
                return
            unwritten = [o for o in range(began, offset) if (partition, o) not in self.written]
            if unwritten:
                self.wrong.append("partition %d was committed at %d, and %s was not written" % (partition, offset, unwritten))
            if offset < self.committed[partition]:
                self.wrong.append("partition %d was set back from %d to %d" % (partition, self.committed[partition], offset))
            self.committed[partition] = offset

    def write(self, messages: list) -> None:
        with self.lock:
            for one in messages:
                place = one.partition(), one.offset()
                self.twice += place in self.written
                self.written.add(place)


class Message:
    def __init__(self, partition: int, offset: int, error: KafkaError | None = None) -> None:
        self._partition, self._offset, self._error = partition, offset, error

    def topic(self) -> str:
        return TOPIC

    def partition(self) -> int:
        return self._partition

    def offset(self) -> int:
        return self._offset

    def error(self) -> KafkaError | None:
        return self._error


class Consumer:
    """Each ``poll`` plays one step of the script; at its end the process gets its signal."""

    def __init__(self, broker: Broker, script: list, signal, released: threading.Event) -> None:
        self.broker, self.script, self.signal, self.released = broker, list(script), signal, released
        self.position: dict[int, int] = {}
        self.refusals = 0
        self.calls = 0
        self.closed = False
        self.lock = threading.Lock()

    def subscribe(self, topics, on_assign=None, on_revoke=None, on_lost=None) -> None:
        self.on_assign, self.on_revoke, self.on_lost = on_assign or _nothing, on_revoke or _nothing, on_lost or on_revoke or _nothing

    def assignment(self):
        return _places(self.position)

    def pause(self, partitions) -> None:
        pass

    def poll(self, seconds):
        with self._call("poll"):
            if not self.script:
                self.signal()
                time.sleep(0.001)
                return None
            what, *rest = self.script.pop(0)
            if what == "nothing":
                time.sleep(min(seconds, 0.001))
                return None
            return getattr(self, "_" + what)(*rest)

    def commit(self, offsets=None, asynchronous=True):
        assert asynchronous is False, "the broker's answer is wanted"
        with self._call("commit"):
            if self.refusals > 0:
                self.refusals -= 1
                raise KafkaException(KafkaError(KafkaError.REBALANCE_IN_PROGRESS))
            for one in offsets:
                self.broker.commit(one.partition, one.offset)
            return offsets

    def committed(self, partitions, timeout):
        with self._call("committed"):
            return [TopicPartition(one.topic, one.partition, self.broker.committed[one.partition]) for one in partitions]

    def close(self) -> None:
        with self.lock:
            if self.calls:
                self.broker.wrong.append("closed under a call of another thread")
            self.closed = True
        self._give_back(set(self.position), self.on_revoke)

    def _call(self, name: str):
        return _Call(self, name)

    # ---- steps

    def _message(self, partition: int):
        if partition not in self.position:
            return None
        offset = self.position[partition]
        self.position[partition] += 1
        return Message(partition, offset)

    def _error(self, code: int):
        return Message(0, 0, KafkaError(code))

    def _refuse(self, count: int):
        self.refusals = count

    def _assign(self, partitions: set[int]):
        new = partitions - set(self.position)
        for one in new:
            self.position[one] = self.broker.began[one] = self.broker.committed[one]
        self.on_assign(self, _places(new))

    def _revoke(self, partitions: set[int], read_on: int):
        self._give_back(partitions & set(self.position), self.on_revoke, read_on)

    def _lose(self, partitions: set[int], read_on: int):
        gone = partitions & set(self.position)
        self._pass_on(gone, read_on)
        self.on_lost(self, _places(gone))

    def _signal(self):
        self.signal()

    def _by_itself(self, partition: int):
        """What a client with enable.auto.commit does: it commits what was taken."""
        self.broker.committed[partition] = self.position[partition]

    def _block(self):
        """A call that does not return before the plan is over."""
        self.signal()
        self.released.wait(LIMIT)

    def _give_back(self, gone: set[int], tell, read_on: int = 0) -> None:
        tell(self, _places(gone))
        self._pass_on(gone, read_on)

    def _pass_on(self, gone: set[int], read_on: int) -> None:
        """Another member has them, and reads on from what is committed."""
        with self.broker.lock:
            for one in gone:
                del self.position[one]
                self.broker.began[one] = None
                at = self.broker.committed[one]
                self.broker.written |= {(one, o) for o in range(at, at + read_on)}
                self.broker.committed[one] = at + read_on


class _Call:
    def __init__(self, consumer: Consumer, name: str) -> None:
        self.consumer, self.name = consumer, name

    def __enter__(self) -> None:
        with self.consumer.lock:
            if self.consumer.closed:
                self.consumer.broker.wrong.append("%s after close" % self.name)
            self.consumer.calls += 1

    def __exit__(self, *_: object) -> None:
        with self.consumer.lock:
            self.consumer.calls -= 1


def _places(partitions) -> list[TopicPartition]:
    return [TopicPartition(TOPIC, one) for one in sorted(partitions)]


def _nothing(consumer, partitions) -> None:
    pass


class Context:
    def __init__(self, budget: float) -> None:
        self.deadline = time.monotonic() + budget
        self.soft = self.deadline - budget / 3

    @property
    def remaining(self) -> float:
        return max(self.deadline - time.monotonic(), 0.0)

    @property
    def cancelled(self) -> bool:
        return time.monotonic() >= self.soft


class Hook:
    def __init__(self, plan: Plan, entry: tuple) -> None:
        self.plan, self.entry = plan, entry

    def remove(self) -> None:
        if self.entry in self.plan.hooks:
            self.plan.hooks.remove(self.entry)


class Plan:
    """What ``GraceShut`` does, with phases of ``budget`` seconds: hooks on threads of their own, abandoned when their time is over."""

    def __init__(self, budget: float) -> None:
        self.budget = budget
        self.hooks: list[tuple] = []
        self.stopping = self.draining = self.stopped = False
        self.outcomes: dict[str, str] = {}
        self.over = threading.Event()
        self._once = threading.Lock()

    def hook(self, phase, fn, name=None, timeout=None) -> Hook:
        self.hooks.append((phase, fn))
        return Hook(self, self.hooks[-1])

    def enter(self) -> bool:
        return not self.draining

    def leave(self) -> None:
        pass

    def signal(self) -> None:
        if self._once.acquire(blocking=False):
            self.stopping = True
            threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        self.draining = True
        for phase in ("drain", "flush", "close"):
            for _, fn in [one for one in list(self.hooks) if one[0] == phase]:
                thread = threading.Thread(target=self._one, args=(phase, fn), daemon=True)
                thread.start()
                thread.join(self.budget)
                if thread.is_alive():
                    self.outcomes[phase] = "abandoned"
        self.stopped = True
        self.over.set()

    def _one(self, phase, fn) -> None:
        try:
            fn(Context(self.budget))
            self.outcomes.setdefault(phase, "ok")
        except Exception as error:
            self.outcomes.setdefault(phase, repr(error))
