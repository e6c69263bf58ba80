"""aiokafka: batches of up to 500 messages or 5 s, written into the store, then committed."""

import asyncio
import os
import sys
import time

import aiokafka
import graceshut.aiokafka
from bulk import bulk

gs = graceshut.install(grace=10)


async def write(messages):
    if any(b'"block"' in message.value for message in messages):
        print("BLOCK", flush=True)
        time.sleep(3)
    await asyncio.get_running_loop().run_in_executor(None, bulk, [message.value for message in messages], False)


def assigned(partitions):
    if partitions:
        print("ready", flush=True)


async def main():
    consumer = aiokafka.AIOKafkaConsumer(
        bootstrap_servers=os.environ["BOOTSTRAP"], group_id=os.environ["GROUP"], client_id=os.environ["NAME"],
        enable_auto_commit=False, auto_offset_reset="earliest",
        session_timeout_ms=int(os.environ["SESSION_MS"]), heartbeat_interval_ms=int(os.environ["HEARTBEAT_MS"]),
    )
    await graceshut.aiokafka.Batches(gs, consumer, [os.environ["TOPIC"]], write, on_assign=assigned).run()


asyncio.run(main())
sys.exit(gs.wait())
