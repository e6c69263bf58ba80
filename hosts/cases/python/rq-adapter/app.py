import os

import jobs
import redis
import rq

connection = redis.Redis(port=int(os.environ["REDIS_PORT"]))
queue = rq.Queue(connection=connection)
queue.enqueue(jobs.job, 1)
Worker = rq.Worker
if os.environ.get("WITH"):
    import graceshut
    from graceshut.rq import Worker

    gs = graceshut.install(grace=8)
    gs.hook("flush", lambda: print("hook flush"), name="flush")
Worker([queue], connection=connection).work(logging_level="WARNING")
