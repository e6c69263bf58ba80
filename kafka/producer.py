"""About 300 messages a second to every partition in turn, each with an id; remembers what the broker has acknowledged."""

from __future__ import annotations

import json
import threading
import time

from broker import PARTITIONS
from confluent_kafka import Producer as Client

RATE = 300


class Producer:
    """A thread of its own; use as a context manager. ``acked``: (partition, offset) and time by id."""

    def __init__(self, address: str, topic: str) -> None:
        # A broker that stands still for a while must cost no message.
        self._client = Client({"bootstrap.servers": address, "linger.ms": 5, "message.timeout.ms": 60000, "log_level": 0})
        self.topic = topic
        self.acked: dict[int, tuple[int, int]] = {}
        self.made: dict[int, float] = {}
        self._next = 0
        self._lock = threading.Lock()
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Producer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def send(self, partition: int, **more: object) -> None:
        with self._lock:
            one, self._next = self._next, self._next + 1
        self.made[one] = time.time()
        value = json.dumps({"id": one, "text": "x" * 100, **more}).encode()

        def told(error: object, message) -> None:
            if error is None:
                self.acked[one] = message.partition(), message.offset()

        self._client.produce(self.topic, value, partition=partition, on_delivery=told)

    def _run(self) -> None:
        start, sent = time.monotonic(), 0
        while not self._ends.wait(0.01):
            due = int((time.monotonic() - start) * RATE)
            while sent < due:
                self.send(sent % PARTITIONS)
                sent += 1
            self._client.poll(0)

    def stop(self) -> None:
        """Sends no more, and waits for what was sent."""
        if not self._ends.is_set():
            self._ends.set()
            self._thread.join()
            left = self._client.flush(60)
            assert left == 0, "%d messages were not acknowledged" % left
