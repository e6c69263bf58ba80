"""A process whose GIL is held for about 2 s by one C call: `stuck.py graceshut PID | own 0`."""
import signal
import sys
import time

# sum() over a range is one C call that never lets the GIL go; how long it takes is the machine's affair, so measure.
begin = time.perf_counter()
sum(range(2_000_000))
numbers = int(2_000_000 * 2.0 / (time.perf_counter() - begin))
if sys.argv[1] == "graceshut":
    import graceshut

    gs = graceshut.install(grace=10)
    gs.signal_hook("drain", "USR1", pid=int(sys.argv[2]), name="back")
else:
    def handler(signum, frame):
        at = time.time_ns() / 1000
        print("handled", at, flush=True)

    signal.signal(signal.SIGTERM, handler)
print("ready", flush=True)
sum(range(numbers))
time.sleep(5)
