"""Starts the WSGI app on the server that is named, as that server's documentation shows it."""

import os
import sys

from wsgi_app import app

HOST, PORT = "127.0.0.1", int(os.environ["PORT"])


def waitress():
    import waitress

    waitress.serve(app, host=HOST, port=PORT, threads=20, _quiet=True)


def cheroot():
    from cheroot import wsgi

    # Its own queue of five overflows under load, and then the kernel drops connections that clients take for open.
    server = wsgi.Server((HOST, PORT), app, numthreads=24, request_queue_size=128)
    try:
        server.start()
    except (KeyboardInterrupt, SystemExit):
        server.stop()


def cheroot_plain():
    """As its users write it: nothing stops its threads when the process is made to leave."""
    from cheroot import wsgi

    # Its own queue of five overflows under load, and then the kernel drops connections that clients take for open.
    server = wsgi.Server((HOST, PORT), app, numthreads=24, request_queue_size=128)
    try:
        server.start()
    except KeyboardInterrupt:
        server.stop()


def django():
    from django.conf import settings
    from django.core import management, wsgi

    settings.configure(DEBUG=True, ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, SECRET_KEY="x", WSGI_APPLICATION="wsgi_app.app")
    wsgi.get_wsgi_application()
    management.call_command("runserver", "%s:%d" % (HOST, PORT), "--noreload", "--skip-checks", verbosity=0)


urlpatterns = []
globals()[sys.argv[1]]()
