import os
import time

import dramatiq
from dramatiq.brokers.redis import RedisBroker

broker = RedisBroker(port=int(os.environ["REDIS_PORT"]))
dramatiq.set_broker(broker)

if os.environ.get("WITH"):
    import graceshut.dramatiq

    def setup(gs):
        gs.hook("flush", lambda: print("hook flush\n", end="", flush=True), name="flush")

    broker.add_middleware(graceshut.dramatiq.Middleware(setup, grace=8))


@dramatiq.actor
def job(number):
    print("begun", number, flush=True)
    print("ready\n", end="", flush=True)
    time.sleep(2)
    print("done", number, flush=True)


if __name__ == "__main__":
    job.send(1)
    os.execvp("dramatiq", ["dramatiq", "app", "--processes", "1", "--threads", "2"])
