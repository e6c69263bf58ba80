"""Orders from Kafka one by one with confluent-kafka: each is called done once it is dealt with.

    BOOTSTRAP=127.0.0.1:9092 GROUP=indexer TOPIC=orders SINK=http://127.0.0.1:9200/orders python messages.py
"""

import json
import os
import sys
import urllib.request

import confluent_kafka

import graceshut.confluent_kafka

gs = graceshut.install(grace=10)
consumer = confluent_kafka.Consumer({
    "bootstrap.servers": os.environ["BOOTSTRAP"], "group.id": os.environ["GROUP"], "client.id": os.environ.get("NAME", "indexer"),
    "auto.offset.reset": "earliest", "enable.auto.commit": False, "heartbeat.interval.ms": 1000,
})


def handle(message):
    lines = b'{"index":{"_id":"%d"}}\n%s\n' % (json.loads(message.value())["id"], message.value())
    bulk = urllib.request.Request(os.environ["SINK"] + "/_bulk", lines, {"Content-Type": "application/x-ndjson"})
    with urllib.request.urlopen(bulk, timeout=60) as answer:
        if json.load(answer)["errors"]:
            raise OSError("the order was not taken")


def assigned(consumer, partitions):
    print("ready", flush=True)


with graceshut.confluent_kafka.Messages(gs, consumer, [os.environ["TOPIC"]], on_assign=assigned) as messages:
    for message in messages:
        handle(message)
        messages.done(message)
sys.exit(gs.wait())
