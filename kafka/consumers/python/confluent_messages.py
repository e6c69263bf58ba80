"""confluent-kafka with a buffer of the program's own: what was written is called done."""

import os
import sys
import time

import confluent_kafka
import graceshut.confluent_kafka
from bulk import bulk

gs = graceshut.install(grace=10)
consumer = confluent_kafka.Consumer({
    "bootstrap.servers": os.environ["BOOTSTRAP"], "group.id": os.environ["GROUP"], "client.id": os.environ["NAME"],
    "enable.auto.commit": False, "auto.offset.reset": "earliest",
    "session.timeout.ms": int(os.environ["SESSION_MS"]), "heartbeat.interval.ms": int(os.environ["HEARTBEAT_MS"]),
})
buffer, last = [], time.monotonic()


def write():
    if buffer:
        bulk([one.value() for one in buffer])
        messages.done(*buffer)
        buffer.clear()


def assigned(consumer, partitions):
    print("ready", flush=True)


def revoked(consumer, partitions):
    write()  # what is not written by now has to be dropped: the next member reads it


with graceshut.confluent_kafka.Messages(gs, consumer, [os.environ["TOPIC"]], tick=0.5, on_assign=assigned, on_revoke=revoked) as messages:
    for message in messages:
        if message is not None:
            buffer.append(message)
        if len(buffer) >= 500 or time.monotonic() - last >= 5:
            write()
            last = time.monotonic()
    write()
sys.exit(gs.wait())
