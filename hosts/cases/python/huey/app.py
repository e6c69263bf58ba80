import os
import time

from huey import RedisHuey
from huey.consumer_options import ConsumerConfig

if os.environ.get("WITH"):
    import graceshut

    gs = graceshut.install(grace=8)
    gs.hook("flush", lambda: print("hook flush"), name="flush")

huey = RedisHuey("case", port=int(os.environ["REDIS_PORT"]))


@huey.task()
def job(number):
    print("begun", number)
    print("ready")
    time.sleep(2)
    print("done", number)


job(1)
consumer = huey.create_consumer(**ConsumerConfig(workers=2).values)
consumer.run()
