"""confluent-kafka: batches of up to 500 messages or 5 s, written into the store, then committed."""

import os
import sys

import confluent_kafka
import graceshut.confluent_kafka
from bulk import bulk

gs = graceshut.install(grace=10)
consumer = confluent_kafka.Consumer({
    "bootstrap.servers": os.environ["BOOTSTRAP"], "group.id": os.environ["GROUP"], "client.id": os.environ["NAME"],
    "enable.auto.commit": False, "auto.offset.reset": "earliest",
    "session.timeout.ms": int(os.environ["SESSION_MS"]), "heartbeat.interval.ms": int(os.environ["HEARTBEAT_MS"]),
})


def write(messages):
    bulk([message.value() for message in messages])


def assigned(consumer, partitions):
    print("ready", flush=True)


graceshut.confluent_kafka.Batches(gs, consumer, [os.environ["TOPIC"]], write, on_assign=assigned).run()
sys.exit(gs.wait())
