"""Orders from Kafka into a search index with aiokafka: written, then committed.

    BOOTSTRAP=127.0.0.1:9092 GROUP=indexer TOPIC=orders SINK=http://127.0.0.1:9200/orders python aio_batches.py
"""

import asyncio
import json
import os
import sys
import urllib.request

import aiokafka

import graceshut.aiokafka

gs = graceshut.install(grace=10)


def bulk(lines):
    asked = urllib.request.Request(os.environ["SINK"] + "/_bulk", b"".join(lines), {"Content-Type": "application/x-ndjson"})
    with urllib.request.urlopen(asked, timeout=60) as answer:
        if json.load(answer)["errors"]:
            raise OSError("not all of the batch was taken")


async def write(messages):
    lines = [b'{"index":{"_id":"%d"}}\n%s\n' % (json.loads(m.value)["id"], m.value) for m in messages]
    await asyncio.get_running_loop().run_in_executor(None, bulk, lines)


def assigned(partitions):
    print("ready", flush=True)


async def main():
    consumer = aiokafka.AIOKafkaConsumer(
        bootstrap_servers=os.environ["BOOTSTRAP"], group_id=os.environ["GROUP"], client_id=os.environ.get("NAME", "indexer"),
        auto_offset_reset="earliest", enable_auto_commit=False, heartbeat_interval_ms=1000,
    )
    await graceshut.aiokafka.Batches(gs, consumer, [os.environ["TOPIC"]], write, on_assign=assigned).run()


asyncio.run(main())
sys.exit(gs.wait())
