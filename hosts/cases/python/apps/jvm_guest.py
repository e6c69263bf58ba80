"""A JVM in the process. `before` or `after`: when it is started, beside install; `interruptible`: with its own handling of signals."""

import os
import sys
import time

import jpype

WITH = os.environ.get("WITH")


def install():
    import graceshut

    gs = graceshut.install(grace=8)
    gs.hook("flush", lambda: print("hook flush, Java", jpype.java.lang.Integer.valueOf(5)), name="flush")
    return gs


order = sys.argv[1]
if order == "before":
    jpype.startJVM(interrupt=False)
if WITH:
    gs = install()
if order != "before":
    jpype.startJVM(interrupt="interruptible" in order)
print("ready\n", end="", flush=True)
sys.exit(gs.wait()) if WITH else time.sleep(60)
