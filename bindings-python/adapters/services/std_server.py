"""Servers that are programs: `std` for the standard library's, `flask` for werkzeug's; with `bare` first, without graceshut."""

import logging
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def do_GET(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        time.sleep(0.01)
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"done\n")

    do_POST = do_GET

    def log_message(self, *args):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def flask_app():
    import flask

    logging.getLogger("werkzeug").setLevel("ERROR")
    app = flask.Flask("service")

    @app.route("/", methods=["GET", "POST"])
    def work():
        time.sleep(0.01)
        return "done\n"

    return app


if __name__ == "__main__":
    kind, port, bare = sys.argv[1], int(sys.argv[2]), sys.argv[3:] == ["bare"]
    if not bare:
        import hooks  # noqa: F401
    if kind == "flask":
        if bare:
            flask_app().run(port=port)
        else:
            import graceshut.flask

            graceshut.flask.run(flask_app(), port=port, ready="/readyz")
    else:
        server = Server(("127.0.0.1", port), Handler)
        if bare:
            server.serve_forever()
        else:
            import graceshut.http_server

            sys.exit(graceshut.http_server.serve(server, ready="/readyz"))
