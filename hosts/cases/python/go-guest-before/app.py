import ctypes
import os
import sys
import time

WITH = os.environ.get("WITH")
ORDER = os.path.basename(os.getcwd())


def guest():
    ctypes.CDLL(os.environ["BUILT"] + "/guest.so").Start()


def install():
    import graceshut

    gs = graceshut.install(grace=5)
    gs.hook("flush", lambda: print("hook flush"), name="flush")
    return gs


if ORDER.endswith("before"):
    guest()
    gs = install() if WITH else None
else:
    gs = install() if WITH else None
    guest()
print("ready\n", end="", flush=True)
sys.exit(gs.wait()) if WITH else time.sleep(4)
