import graceshut.uwsgi


def setup(gs):
    gs.hook("flush", lambda: print("buffers written", flush=True), name="buffers")


def app(environ, start_response):
    start_response("200 OK", [("Content-Length", "5")])
    return [b"done\n"]


application = graceshut.uwsgi.wrap(app, setup, ready="/readyz", grace=10)
