"""Milliseconds that the import takes."""
import time

begin = time.perf_counter()
import graceshut  # noqa: E402, F401

print("ms", (time.perf_counter() - begin) * 1000, flush=True)
