"""WSGI servers that are programs: `wsgi_servers.py NAME PORT`; with `bare` behind, without graceshut."""

import os
import sys

NAME, PORT, BARE = sys.argv[1], int(sys.argv[2]), sys.argv[3:] == ["bare"]
if NAME == "gevent":
    from gevent import monkey

    monkey.patch_all()

if BARE:
    from bare_app import wsgi as app
else:
    from wsgi_app import wrapped as app


def waitress():
    import waitress

    waitress.serve(app, host="127.0.0.1", port=PORT, threads=16, _quiet=True)


def cheroot():
    from cheroot.wsgi import Server

    server = Server(("127.0.0.1", PORT), app, numthreads=24, request_queue_size=128)
    try:
        server.start()
    except (KeyboardInterrupt, SystemExit):
        server.stop()


def runserver():
    """Django's own server, as `manage.py runserver --noreload` starts it."""
    import django
    from django.conf import settings
    from django.core.management import call_command

    settings.configure(WSGI_APPLICATION="wsgi_servers_app.app", ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, DEBUG=False, LOGGING_CONFIG=None)
    module = type(sys)("wsgi_servers_app")
    module.app = app
    sys.modules["wsgi_servers_app"] = module
    django.setup()
    call_command("runserver", "127.0.0.1:%d" % PORT, use_reloader=False, skip_checks=True, stdout=open(os.devnull, "w"))


def gevent():
    from gevent.pywsgi import WSGIServer

    WSGIServer(("127.0.0.1", PORT), app, log=None).serve_forever()


if __name__ == "__main__":
    globals()[NAME]()
