"""The app for uWSGI: by itself, or wrapped by the adapter."""

import os
import time


def app(environ, start):
    environ["wsgi.input"].read()
    if environ["PATH_INFO"] == "/slow":
        print("begun\n", end="", flush=True)
    time.sleep(1.5 if environ["PATH_INFO"] == "/slow" else 0.01)
    start("200 OK", [("Content-Length", "3")])
    return [b"ok\n"]


if os.environ.get("WITH"):
    import graceshut.uwsgi

    def setup(gs):
        gs.hook("flush", lambda: print("hook flush\n", end="", flush=True), name="flush")

    app = graceshut.uwsgi.wrap(app, setup, grace=8)
