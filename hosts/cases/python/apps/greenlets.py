"""The WSGI server of gevent or of eventlet, whichever is named."""

import sys

if sys.argv[1] == "gevent":
    from gevent import monkey

    monkey.patch_all()
else:
    import eventlet

    eventlet.monkey_patch()

import os

from wsgi_app import app

address = ("127.0.0.1", int(os.environ["PORT"]))
if sys.argv[1] == "gevent":
    from gevent.pywsgi import WSGIServer

    WSGIServer(address, app, log=None).serve_forever()
else:
    import eventlet.wsgi

    eventlet.wsgi.server(eventlet.listen(address), app, log_output=False)
