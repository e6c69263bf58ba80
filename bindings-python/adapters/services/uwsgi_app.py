"""For uWSGI: hooks in every process that serves; `/slow` takes 1.5 s and says whether something was raised inside."""

import time

import graceshut.uwsgi
from bare_app import trace, wsgi


def setup(gs):
    gs.hook("announce", lambda: trace("announce"), name="deregister")
    gs.hook("flush", lambda: trace("flush"), name="buffers")
    gs.hook("close", lambda: trace("close"), name="pool")
    gs.hook("final", lambda: trace("final"), name="telemetry")


def app(environ, start_response):
    try:
        if environ["PATH_INFO"] == "/slow":
            time.sleep(1.5)
        return wsgi(environ, start_response)
    except BaseException as error:
        trace("raised inside %r" % error)
        raise


application = graceshut.uwsgi.wrap(app, setup, ready="/readyz", live="/livez")
