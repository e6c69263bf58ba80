"""A WSGI app as its users write it: by itself, or in graceshut's middleware."""

import os
import time


def app(environ, start):
    environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    if environ["PATH_INFO"] == "/slow":
        print("begun\n", end="", flush=True)
    time.sleep(1.5 if environ["PATH_INFO"] == "/slow" else 0.01)
    start("200 OK", [("Content-Length", "3")])
    return [b"ok\n"]


if os.environ.get("WITH"):
    import graceshut
    import graceshut.wsgi

    gs = graceshut.install(grace=8)
    gs.hook("flush", lambda: print("hook flush\n", end="", flush=True), name="flush")
    if os.environ.get("WRAP", "1") == "1":  # the adapter of gunicorn does it by itself
        app = graceshut.wsgi.Middleware(app)
