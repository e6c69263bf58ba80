"""dramatiq actors on a Redis broker; messages note their beginning and their end."""

import os
import time

import dramatiq
from dramatiq.brokers.redis import RedisBroker

import graceshut.dramatiq
from bare_app import trace

folder = os.environ["ADAPTER_FOLDER"]


def note(word, n):
    with open(folder + "/notes", "a") as f:
        f.write("%s %s\n" % (word, n))


def setup(gs):
    gs.hook("announce", lambda: trace("announce"), name="deregister")
    gs.hook("flush", lambda: trace("flush"), name="buffers")
    gs.hook("close", lambda: trace("close"), name="pool")
    gs.hook("final", lambda: trace("final"), name="telemetry")
    if os.environ.get("ADAPTER_SEND"):
        for n in range(40):
            work.send(n)
        os.write(1, b"ready\n")


broker = RedisBroker(url="unix://" + folder + "/redis.sock")
broker.add_middleware(graceshut.dramatiq.Middleware(setup))
dramatiq.set_broker(broker)


@dramatiq.actor
def work(n):
    note("begin", n)
    time.sleep(0.3)
    note("end", n)
