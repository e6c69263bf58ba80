"""Orders from Kafka into a search index with confluent-kafka: written, then committed.

    BOOTSTRAP=127.0.0.1:9092 GROUP=indexer TOPIC=orders SINK=http://127.0.0.1:9200/orders python batches.py
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
    "auto.offset.reset": "earliest",
    "enable.auto.commit": False,  # else the client commits by itself what is not written yet
    "heartbeat.interval.ms": 1000,  # so late do the others hear that one has left
})


def write(messages):
    lines = [b'{"index":{"_id":"%d"}}\n%s\n' % (json.loads(m.value())["id"], m.value()) for m in messages]
    bulk = urllib.request.Request(os.environ["SINK"] + "/_bulk", b"".join(lines), {"Content-Type": "application/x-ndjson"})
    with urllib.request.urlopen(bulk, timeout=60) as answer:
        if json.load(answer)["errors"]:
            raise OSError("not all of the batch was taken")


def assigned(consumer, partitions):
    print("ready", flush=True)


graceshut.confluent_kafka.Batches(gs, consumer, [os.environ["TOPIC"]], write, size=500, seconds=5, on_assign=assigned).run()
sys.exit(gs.wait())
