import os
import time

from apscheduler.schedulers.background import BackgroundScheduler

scheduler = BackgroundScheduler()


def job():
    print("begun 1")
    print("ready")
    time.sleep(1)
    print("done 1")


scheduler.add_job(job)
if os.environ.get("WITH"):
    import sys

    import graceshut

    gs = graceshut.install(grace=8)
    gs.hook("drain", scheduler.shutdown, name="scheduler")
    gs.hook("flush", lambda: print("hook flush"), name="flush")
    scheduler.start()
    sys.exit(gs.wait())
scheduler.start()
time.sleep(60)
