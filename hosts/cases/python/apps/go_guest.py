"""A Go library that listens for TERM. `before` or `after`: when it is loaded, beside install."""

import ctypes
import os
import sys
import time

WITH = os.environ.get("WITH")

def guest():
    ctypes.CDLL(os.environ["BUILT"] + "/guest.so").Start()


def install():
    import graceshut

    gs = graceshut.install(grace=5)
    gs.hook("flush", lambda: print("hook flush\n", end="", flush=True), name="flush")  # one write: Go writes too
    return gs


if sys.argv[1] == "before":
    guest()
    gs = install() if WITH else None
else:
    gs = install() if WITH else None
    guest()
print("ready\n", end="", flush=True)
sys.exit(gs.wait()) if WITH else time.sleep(4)
