"""rq jobs, and the worker: `rq_jobs.py` enqueues and works; jobs note their beginning and their end."""

import os
import sys
import time

folder = os.environ["ADAPTER_FOLDER"]


def note(word, n):
    with open(folder + "/notes", "a") as f:
        f.write("%s %s\n" % (word, n))


def work(n):
    note("begin", n)
    time.sleep(0.3)
    note("end", n)


if __name__ == "__main__":
    import redis
    from rq import Queue

    import hooks
    from graceshut.rq import Worker

    connection = redis.Redis(unix_socket_path=folder + "/redis.sock")
    queue = Queue(connection=connection)
    for n in range(20):
        queue.enqueue("rq_jobs.work", n)
    os.write(1, b"ready\n")
    Worker([queue], connection=connection).work(logging_level="ERROR")
    sys.exit(hooks.gs.wait())
