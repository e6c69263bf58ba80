import os
import time

import dramatiq
from dramatiq.brokers.redis import RedisBroker

broker = RedisBroker(port=int(os.environ["REDIS_PORT"]))
dramatiq.set_broker(broker)

if os.environ.get("WITH"):
    import graceshut

    class Graceshut(dramatiq.Middleware):
        def after_process_boot(self, broker):
            gs = graceshut.install(grace=8)
            gs.hook("flush", lambda: print("hook flush"), name="flush")

    broker.add_middleware(Graceshut())


@dramatiq.actor
def job(number):
    print("begun", number, flush=True)
    print("ready\n", end="", flush=True)
    time.sleep(2)
    print("done", number, flush=True)


if __name__ == "__main__":
    job.send(1)
    os.execvp("dramatiq", ["dramatiq", "app", "--processes", "1", "--threads", "2"])
