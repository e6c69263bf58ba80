"""Holds the GIL for ever: only the watchdog can end it."""
import ctypes

import graceshut

gs = graceshut.install(grace=0.2)
print("ready", flush=True)
ctypes.PyDLL(None).sleep(60)
