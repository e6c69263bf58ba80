"""A process whose GIL is held for 2 s by one C call: `stuck.py graceshut PID | own 0`."""
import ctypes
import signal
import sys
import time

held = ctypes.PyDLL(None).usleep  # PyDLL keeps the GIL during the call
if sys.argv[1] == "graceshut":
    import graceshut

    gs = graceshut.install(grace=10)
    gs.signal_hook("drain", "back", pid=int(sys.argv[2]), signal="USR1")
else:
    def handler(signum, frame):
        at = time.time_ns() / 1000
        print("handled", at, flush=True)

    signal.signal(signal.SIGTERM, handler)
print("ready", flush=True)
held(2_000_000)
time.sleep(5)
