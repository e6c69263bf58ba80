"""Holds the GIL for minutes, in one C call: only the watchdog can end it."""
import graceshut

gs = graceshut.install(grace=0.2)
print("ready", flush=True)
sum(range(10**11))
