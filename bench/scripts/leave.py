"""Prints the wall time at its last act, then leaves: `leave.py graceshut | bare`."""
import logging  # as a service has: what it adds to the interpreter's end is the same for both  # noqa: F401
import os
import signal
import sys
import threading
import time


def last():
    os.write(1, b"last %f\n" % (time.time_ns() / 1000))


if sys.argv[1] == "graceshut":
    import graceshut

    gs = graceshut.install(grace=10)

    @gs.hook("final")
    def stamp(ctx):
        last()

    print("ready", flush=True)
    sys.exit(gs.wait())

stop = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stop.set())
print("ready", flush=True)
while not stop.wait(0.2):
    pass
last()
sys.exit(0)
