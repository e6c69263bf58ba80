"""The WSGI server of gevent or of eventlet, whichever is named."""

import sys

if sys.argv[1] == "gevent":
    from gevent import monkey

    monkey.patch_all()
else:
    import eventlet

    eventlet.monkey_patch()

import os
import time


def app(environ, start):
    environ["wsgi.input"].read()
    if environ["PATH_INFO"] == "/slow":
        print("begun\n", end="", flush=True)
    time.sleep(1 if environ["PATH_INFO"] == "/slow" else 0.01)
    start("200 OK", [("Content-Length", "3")])
    return [b"ok\n"]


if os.environ.get("WITH"):
    import graceshut
    import graceshut.wsgi

    gs = graceshut.install(grace=6)
    gs.hook("flush", lambda: print("hook flush"), name="flush")
    app = graceshut.wsgi.Middleware(app)
address = ("127.0.0.1", int(os.environ["PORT"]))
if sys.argv[1] == "gevent":
    from gevent.pywsgi import WSGIServer

    WSGIServer(address, app, log=None).serve_forever()
else:
    import eventlet.wsgi

    eventlet.wsgi.server(eventlet.listen(address), app, log_output=False)
