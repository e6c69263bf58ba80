"""One real Kafka broker on loopback (KRaft, one node), and what the runner asks it: topics, groups, offsets."""

from __future__ import annotations

import os
import pathlib
import random
import signal
import socket
import subprocess
import time

from confluent_kafka import ConsumerGroupState, ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec

PARTITIONS = 6
STARTS_WITHIN = 90.0
#: How often a question is asked, half a second apart.
ASKED = 10
PORTS = range(25000, 26000)

PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
log.dirs={folder}/data
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
num.partitions={partitions}
"""


_started: list[subprocess.Popen] = []


def started(process: subprocess.Popen) -> subprocess.Popen:
    """Remembers a process, for a runner that is ended itself."""
    _started.append(process)
    return process


def kill_all() -> None:
    for process in _started:
        if process.poll() is None:
            process.kill()


def free_port() -> int:
    for port in random.sample(PORTS, len(PORTS)):
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no free port in %s" % PORTS)


class Broker:
    """Starts the broker from the jars in ``lib``; its files go to ``folder``. Use as a context manager."""

    def __init__(self, lib: pathlib.Path, folder: pathlib.Path) -> None:
        self.lib, self.folder = lib, folder
        self.port = free_port()
        self.address = "127.0.0.1:%d" % self.port
        self.admin: AdminClient

    def __enter__(self) -> Broker:
        self.folder.mkdir(parents=True, exist_ok=True)
        properties = self.folder / "server.properties"
        words = {"port": self.port, "controller": free_port(), "folder": self.folder, "partitions": PARTITIONS}
        properties.write_text(PROPERTIES.format(**words))
        java = ["java", "-Xms256m", "-Xmx512m", "-XX:+UseSerialGC", "-cp", "%s/*" % self.lib]
        self.log = (self.folder / "broker.log").open("wb")
        form = [*java, "kafka.tools.StorageTool", "format", "-t", "AAAAAAAAAAAAAAAAAAAAAQ", "-c", str(properties)]
        subprocess.run(form, check=True, stdout=self.log, stderr=self.log, timeout=STARTS_WITHIN)
        self.process = started(subprocess.Popen([*java, "kafka.Kafka", str(properties)], stdout=self.log, stderr=self.log))
        until = time.monotonic() + STARTS_WITHIN
        while b"Kafka Server started" not in (self.folder / "broker.log").read_bytes():
            if self.process.poll() is not None or time.monotonic() > until:
                self.__exit__()
                raise RuntimeError("the broker did not start: see %s" % (self.folder / "broker.log"))
            time.sleep(0.1)
        self._connect()
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(5)
        self.log.close()

    def stop_for(self, seconds: float) -> None:
        """Stops the broker's process with SIGSTOP; blocks for that long, then lets it go on."""
        os.kill(self.process.pid, signal.SIGSTOP)
        try:
            time.sleep(seconds)
        finally:
            os.kill(self.process.pid, signal.SIGCONT)

    def make_topic(self, topic: str) -> None:
        self.admin.create_topics([NewTopic(topic, num_partitions=PARTITIONS, replication_factor=1)])[topic].result(30)
        until = time.monotonic() + 20
        while topic not in self.admin.list_topics(timeout=10).topics:
            assert time.monotonic() < until, "topic %s does not appear" % topic
            time.sleep(0.05)

    def _connect(self) -> None:
        self.admin = AdminClient({"bootstrap.servers": self.address, "log_level": 0, "logger": _quiet()})

    def _asked(self, question):
        """Asks again where the broker has just been away: what the client knows of it is old then."""
        for _ in range(ASKED):
            try:
                return question()
            except KafkaException as error:
                said = error
                time.sleep(0.5)
                self._connect()
        raise said

    def members(self, group: str) -> tuple[str, dict[str, set[int]]]:
        """The group's state, and the partitions of each member by its client id."""
        found = self._asked(lambda: self.admin.describe_consumer_groups([group], request_timeout=10)[group].result(15))
        parts = {m.client_id: {tp.partition for tp in m.assignment.topic_partitions} for m in found.members}
        return found.state.name if isinstance(found.state, ConsumerGroupState) else str(found.state), parts

    def committed(self, group: str) -> dict[int, int]:
        asked = [ConsumerGroupTopicPartitions(group)]
        found = self._asked(lambda: self.admin.list_consumer_group_offsets(asked, request_timeout=10)[group].result(15))
        return {tp.partition: tp.offset for tp in found.topic_partitions if tp.offset >= 0}

    def ends(self, topic: str) -> dict[int, int]:
        asked = {TopicPartition(topic, p): OffsetSpec.latest() for p in range(PARTITIONS)}
        found = self._asked(lambda: {tp: f.result(15) for tp, f in self.admin.list_offsets(asked, request_timeout=10).items()})
        return {tp.partition: one.offset for tp, one in found.items()}


def _quiet():
    import logging

    logger = logging.getLogger("kafka-runner")
    logger.addHandler(logging.NullHandler())
    logger.propagate = False
    return logger
