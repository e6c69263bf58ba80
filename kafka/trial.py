"""One case with one kind of consumer: a topic, a group, a sink, a producer, instances; and what was lost in the end."""

from __future__ import annotations

import pathlib
import re
import threading
import time
import tomllib
from dataclasses import dataclass, field

from broker import PARTITIONS, Broker
from instance import GRACE, Instance, Stop
from opensearch import OpenSearch
from producer import Producer
from sink import Sink

ROOT = pathlib.Path(__file__).resolve().parent.parent
#: After the last stop, what was produced is written and committed within this.
CATCHES_UP_WITHIN = 90.0
REASSIGNED_WITHIN = 3.0
#: Longer than the session lasts: then the group has noticed also without a leave.
WATCHED_FOR = 40.0
SESSION_MS, HEARTBEAT_MS = 20000, 1000
USER_LINES = 5


@dataclass
class Kind:
    """A consumer as its file describes it: ``consumers/LANGUAGE/NAME.toml``."""

    name: str
    language: str
    command: list[str]
    source: pathlib.Path
    build: list[list[str]] = field(default_factory=list)
    env: dict[str, str] = field(default_factory=dict)
    uses: str = r"graceshut|\bgs\b"
    baseline: bool = False
    skip: list[str] = field(default_factory=list)
    only: list[str] = field(default_factory=list)

    @staticmethod
    def read(file: pathlib.Path, words: dict[str, str]) -> Kind:
        raw = tomllib.loads(file.read_text())

        def fill(value):
            if isinstance(value, list):
                return [fill(one) for one in value]
            return value.format(**words, here=file.parent)

        raw["source"] = file.parent / raw["source"]
        for key in ("command", "build"):
            raw[key] = fill(raw.get(key, []))
        raw["env"] = {key: fill(value) for key, value in raw.get("env", {}).items()}
        return Kind(**raw)

    def takes(self, case: str) -> bool:
        return case not in self.skip and (not self.only or case in self.only)

    def user_lines(self) -> list[str]:
        """Lines of its source that speak of graceshut, but imports and comments."""
        lines = [line.strip() for line in self.source.read_text().splitlines()]
        spoken = [line for line in lines if re.search(self.uses, line)]
        return [line for line in spoken if not re.match(r"(import|from|package|//|#|\*|/\*|\")", line)]


class Trial:
    """Use as a context manager: what still runs at its end is killed."""

    def __init__(self, kind: Kind, case: str, run: str, broker: Broker, folder: pathlib.Path, store: OpenSearch | None) -> None:
        self.kind, self.case, self.broker = kind, case, broker
        self.topic = self.group = "%s-%s-%s" % (case, kind.name, run)
        self.folder = folder / self.topic
        self.folder.mkdir(parents=True)
        self.sink, self.producer = Sink(self.topic, store), Producer(broker.address, self.topic)
        self.instances: list[Instance] = []
        self.stops: list[Stop] = []
        self.produced = self.lost = self.dup = self.left = 0
        self.delay = 0.0
        self.failed: list[str] = []
        #: What came too late, and nothing worse.
        self.late: list[str] = []
        self.watchers: list[threading.Thread] = []

    def __enter__(self) -> Trial:
        self.broker.make_topic(self.topic)
        self.sink.__enter__()
        self.producer.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        for one in self.instances:
            one.kill()
        self.producer.stop()
        self.sink.__exit__()

    # ---- instances

    def start(self, ready: bool = True) -> Instance:
        name = "i%d" % (len(self.instances) + 1)
        env = {
            **self.kind.env, "BOOTSTRAP": self.broker.address, "GROUP": self.group, "TOPIC": self.topic, "SINK": "%s/%s" % (self.sink.address, name),
            "SESSION_MS": str(SESSION_MS), "HEARTBEAT_MS": str(HEARTBEAT_MS),
        }
        one = Instance(name, self.kind.command, env, self.folder, ROOT)
        self.instances.append(one)
        return one.wait_for("ready") if ready else one

    def pair(self) -> tuple[Instance, Instance]:
        """Two instances that share the partitions."""
        first, second = self.start(ready=False), self.start(ready=False)
        first.wait_for("ready")
        second.wait_for("ready")
        self.settled({first.name, second.name})
        return first, second

    def settled(self, names: set[str], limit: float = 40.0) -> dict[str, set[int]]:
        """Waits until the group is stable with exactly these members, who have all partitions."""
        until = time.monotonic() + limit
        while True:
            state, members = self.broker.members(self.group)
            if state == "STABLE" and set(members) == names and sum(map(len, members.values())) == PARTITIONS:
                return members
            if time.monotonic() > until:
                raise RuntimeError("the group is %s with %s, not %s" % (state, members, sorted(names)))
            time.sleep(0.1)

    def term(self, one: Instance, watched: bool = True) -> Stop:
        """SIGTERM, and looks how soon the group is stable without that one."""
        stop = one.term()
        self.stops.append(stop)
        if watched:
            watcher = threading.Thread(target=self._watch, args=(stop,), daemon=True)
            watcher.start()
            self.watchers.append(watcher)
        return stop

    def _watch(self, stop: Stop) -> None:
        while time.monotonic() < stop.at + WATCHED_FOR:
            try:
                state, members = self.broker.members(self.group)
            except Exception:  # noqa: BLE001: a broker that stands still is asked again
                state, members = "?", {}
            if state == "STABLE" and stop.name not in members and sum(map(len, members.values())) == PARTITIONS:
                stop.reassigned = time.monotonic() - stop.at
                return
            time.sleep(0.1)

    # ---- the end

    def finish(self) -> None:
        """Lets the others catch up, ends them, and counts."""
        for stop in self.stops:
            next(i for i in self.instances if i.stop is stop).join()
        for watcher in self.watchers:
            watcher.join(WATCHED_FOR + 15)
        self.producer.stop()
        if not any(one.alive for one in self.instances):
            self.start()
        self._catch_up()
        for one in self.instances:
            if one.alive:
                one.term()
        for one in self.instances:
            if one.stop is not None:
                one.join()
        self._count()
        self._judge()

    def _catch_up(self) -> None:
        until = time.monotonic() + CATCHES_UP_WITHIN
        while time.monotonic() < until:
            if not any(one.alive for one in self.instances):
                self.start()
            if self.broker.committed(self.group) == self.broker.ends(self.topic):
                return
            time.sleep(0.3)

    def _count(self) -> None:
        committed = self.broker.committed(self.group)
        written = set(self.sink.first)
        self.produced = len(self.producer.acked)
        missing = {one: at for one, at in self.producer.acked.items() if one not in written}
        self.lost = sum(1 for partition, offset in missing.values() if offset < committed.get(partition, 0))
        self.left = len(missing) - self.lost
        self.dup = self.sink.writes - len(written)
        self.delay = max((at - self.producer.made[one] for one, at in self.sink.first.items()), default=0.0)

    def _judge(self) -> None:
        def check(holds: bool, words: str) -> None:
            if not holds:
                self.failed.append(words)

        check(self.produced > 1000, "only %d produced" % self.produced)
        check(self.lost == 0, "%d lost" % self.lost)
        check(self.left == 0, "%d never written" % self.left)
        if self.sink.store is not None:
            found = self.sink.store.count(self.sink.index)
            check(found == len(self.sink.first), "%d of %d in the store" % (found, len(self.sink.first)))
        if self.kind.baseline:
            return
        if self.case in ("rolling", "rebalance"):
            check(self.dup == 0, "%d written twice" % self.dup)
        for stop in self.stops:
            check(not stop.killed, "%s was killed after the grace" % stop.name)
            if self.case in ("rolling", "rebalance", "block"):
                check(stop.status == 0 and stop.outcome == "clean", "%s: status %s, %s" % (stop.name, stop.status, stop.outcome))
            else:
                # Work was left undone, and the report has to say so.
                check(stop.status not in (0, None) and stop.outcome in ("degraded", "forced"), "%s: status %s, %s" % (stop.name, stop.status, stop.outcome))
            if self.case != "broker" and not stop.alone:
                # From the signal on, or where the plan needed its time, from the end of the process.
                since = 0.0 if self.case == "rolling" else stop.gone or 0.0
                took = (stop.reassigned if stop.reassigned is not None else WATCHED_FOR) - since
                if took > REASSIGNED_WITHIN:
                    self.late.append("%s: reassigned after %.1f s" % (stop.name, took))
        lines = self.kind.user_lines()
        check(len(lines) <= USER_LINES, "%d lines with graceshut: %s" % (len(lines), "; ".join(lines)))

    def row(self) -> list[str]:
        def each(of) -> str:
            return ", ".join(dict.fromkeys(of(s) for s in self.stops)) or "-"

        def span(values: list[float]) -> str:
            low, high = ("%.1f" % v for v in (min(values), max(values)))
            return low if low == high else "%s to %s" % (low, high)

        gone = span([s.gone for s in self.stops if s.gone is not None] or [0.0])
        back = [s.reassigned for s in self.stops if not s.alone]
        reassigned = "never" if None in back else span(back) if back else "-"
        return [
            self.kind.name, self.case, str(len(self.stops)), str(self.produced), str(self.lost), str(self.dup), gone,
            each(lambda s: "killed" if s.killed else str(s.status)), each(lambda s: s.outcome), reassigned, "%.1f" % self.delay,
            "; ".join(self.failed + self.late) or "passed",
        ]


__all__ = ["GRACE", "Kind", "Trial"]
