"""confluent-kafka without graceshut: written, then committed; SIGTERM ends it at once."""

import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "python"))

import confluent_kafka
from bulk import bulk

consumer = confluent_kafka.Consumer({
    "bootstrap.servers": os.environ["BOOTSTRAP"], "group.id": os.environ["GROUP"], "client.id": os.environ["NAME"],
    "enable.auto.commit": False, "auto.offset.reset": "earliest",
    "session.timeout.ms": int(os.environ["SESSION_MS"]), "heartbeat.interval.ms": int(os.environ["HEARTBEAT_MS"]),
})
consumer.subscribe([os.environ["TOPIC"]], on_assign=lambda c, partitions: print("ready", flush=True))
buffer, last = [], time.monotonic()
while True:
    message = consumer.poll(0.2)
    if message is not None and message.error() is None:
        buffer.append(message.value())
    if buffer and (len(buffer) >= 500 or time.monotonic() - last >= 5):
        bulk(buffer)
        consumer.commit(asynchronous=False)
        buffer, last = [], time.monotonic()
