"""A celery worker with a file for a broker; tasks note their beginning and their end."""

import os
import time

import celery

import graceshut
import graceshut.celery
import hooks  # noqa: F401

folder = os.environ["ADAPTER_FOLDER"]
app = celery.Celery("jobs", broker="filesystem://")
app.conf.update(
    broker_transport_options={
        "data_folder_in": folder + "/queue", "data_folder_out": folder + "/queue", "processed_folder": folder + "/done",
        "control_folder": folder + "/control", "polling_interval": 0.05,
    },
    task_ignore_result=True, worker_prefetch_multiplier=1, broker_connection_retry_on_startup=True,
)
graceshut.celery.follow()


def note(word, n):
    with open(folder + "/notes", "a") as f:
        f.write("%s %s\n" % (word, n))


@app.task(name="work")
def work(n):
    note("begin", n)
    time.sleep(0.3)
    note("end", n)


@celery.signals.worker_ready.connect
def ready(**_):
    for n in range(40):
        work.delay(n)
    os.write(1, b"ready\n")
