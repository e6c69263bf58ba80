"""Consumes with the helper; each message takes 20 ms and is noted with its offset."""

import os
import sys
import time

import hooks

folder, server = os.environ["ADAPTER_FOLDER"], os.environ["ADAPTER_BROKER"]
said = False


def note(offset):
    global said
    with open(folder + "/notes", "a") as f:
        f.write("end %d\n" % offset)
    if not said:
        said = True
        os.write(1, b"ready\n")


def confluent():
    import confluent_kafka

    from graceshut.confluent_kafka import Messages

    options = {"bootstrap.servers": server, "group.id": sys.argv[1], "auto.offset.reset": "earliest", "enable.auto.commit": False}
    with Messages(hooks.gs, confluent_kafka.Consumer(options), ["jobs"]) as messages:
        for message in messages:
            time.sleep(0.02)
            note(message.offset())
            messages.done(message)


async def aio():
    import asyncio

    import aiokafka

    from graceshut.aiokafka import Messages

    consumer = aiokafka.AIOKafkaConsumer(
        bootstrap_servers=server, group_id=sys.argv[1], auto_offset_reset="earliest", enable_auto_commit=False
    )
    async with Messages(hooks.gs, consumer, ["jobs"]) as messages:
        async for message in messages:
            await asyncio.sleep(0.02)
            note(message.offset)
            messages.done(message)


if __name__ == "__main__":
    if sys.argv[1] == "confluent":
        confluent()
    else:
        import asyncio

        asyncio.run(aio())
    sys.exit(hooks.gs.wait())
