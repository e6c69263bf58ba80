"""WSGI servers that are programs: `wsgi_servers.py NAME PORT`; with `bare` behind, without graceshut."""

import os
import sys

NAME, PORT, BARE = sys.argv[1], int(sys.argv[2]), sys.argv[3:] == ["bare"]
if NAME in ("gevent", "eventlet"):
    __import__(NAME + ".monkey" if NAME == "gevent" else NAME)
    (sys.modules["gevent.monkey"].patch_all if NAME == "gevent" else sys.modules["eventlet"].monkey_patch)()

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


def cherrypy():
    import cherrypy

    cherrypy.tree.graft(app, "/")
    cherrypy.config.update({"server.socket_port": PORT, "server.thread_pool": 24, "server.socket_queue_size": 128, "log.screen": False, "engine.autoreload.on": False})
    cherrypy.engine.signals.subscribe()
    cherrypy.engine.start()
    cherrypy.engine.block()


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


def wsgiref():
    from socketserver import ThreadingMixIn
    from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

    class Server(ThreadingMixIn, WSGIServer):
        daemon_threads, request_queue_size = True, 128

    class Handler(WSGIRequestHandler):
        def log_message(self, *args):
            pass

    make_server("127.0.0.1", PORT, app, Server, Handler).serve_forever()


def bottle():
    import bottle

    bottle.run(app=app, host="127.0.0.1", port=PORT, server="waitress", quiet=True)


def gevent():
    from gevent.pywsgi import WSGIServer

    WSGIServer(("127.0.0.1", PORT), app, log=None).serve_forever()


def eventlet():
    import eventlet.wsgi

    eventlet.wsgi.server(eventlet.listen(("127.0.0.1", PORT), backlog=128), app, log_output=False)


def twisted():
    from twisted.internet import reactor
    from twisted.web.server import Site
    from twisted.web.wsgi import WSGIResource

    pool = reactor.getThreadPool()
    pool.adjustPoolsize(16, 24)
    reactor.listenTCP(PORT, Site(WSGIResource(reactor, pool, app)), interface="127.0.0.1", backlog=128)
    reactor.run()


def werkzeug():
    from werkzeug.serving import make_server

    make_server("127.0.0.1", PORT, app, threaded=True).serve_forever()


if __name__ == "__main__":
    globals()[NAME]()
