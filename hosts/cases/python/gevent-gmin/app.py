from gevent import monkey

monkey.patch_all()

import os
import signal
import sys
import time

if os.environ.get("WITH"):
    import graceshut

    gs = graceshut.install(grace=6)
    gs.hook("flush", lambda: print("hook flush"), name="flush")
print("ready\n", end="", flush=True)
while True:
    time.sleep(0.2)
