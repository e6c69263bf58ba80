import os

import redis
import rq

if os.environ.get("WITH"):
    import graceshut

    gs = graceshut.install(grace=8)
    gs.hook("flush", lambda: print("hook flush"), name="flush")

import jobs

connection = redis.Redis(port=int(os.environ["REDIS_PORT"]))
queue = rq.Queue(connection=connection)
queue.enqueue(jobs.job, 1)
rq.Worker([queue], connection=connection).work(logging_level="WARNING")
