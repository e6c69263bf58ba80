"""aiokafka with a buffer of the program's own: what was written is called done."""

import asyncio
import os
import sys
import time

import aiokafka
import graceshut.aiokafka
from bulk import bulk

gs = graceshut.install(grace=10)
buffer, last = [], time.monotonic()


async def write(messages):
    if buffer:
        batch = list(buffer)
        await asyncio.get_running_loop().run_in_executor(None, bulk, [one.value for one in batch])
        messages.done(*batch)
        del buffer[: len(batch)]


async def main():
    global last
    one_write = asyncio.Lock()  # a revocation comes beside the loop, also while that writes

    async def revoked(partitions):
        async with one_write:
            await write(messages)

    consumer = aiokafka.AIOKafkaConsumer(
        bootstrap_servers=os.environ["BOOTSTRAP"], group_id=os.environ["GROUP"], client_id=os.environ["NAME"],
        enable_auto_commit=False, auto_offset_reset="earliest",
        session_timeout_ms=int(os.environ["SESSION_MS"]), heartbeat_interval_ms=int(os.environ["HEARTBEAT_MS"]),
    )
    topics, assigned = [os.environ["TOPIC"]], lambda partitions: partitions and print("ready", flush=True)
    async with graceshut.aiokafka.Messages(gs, consumer, topics, tick=0.5, on_assign=assigned, on_revoke=revoked) as messages:
        async for message in messages:
            if message is not None:
                buffer.append(message)
            if len(buffer) >= 500 or time.monotonic() - last >= 5:
                async with one_write:
                    await write(messages)
                last = time.monotonic()
        async with one_write:
            await write(messages)


asyncio.run(main())
sys.exit(gs.wait())
