"""Servers without an adapter, by `gs.listener`: `listener_apps.py sanic|tornado PORT`; with `bare` behind, without graceshut."""

import asyncio
import sys

NAME, PORT, BARE = sys.argv[1], int(sys.argv[2]), sys.argv[3:] == ["bare"]
if not BARE:
    from hooks import gs


def sanic():
    from sanic import Sanic
    from sanic.response import text

    app = Sanic("service", configure_logging=False)

    @app.route("/", methods=["GET", "POST"])
    async def work(request):
        await asyncio.sleep(0.01)
        return text("done\n")

    if not BARE:

        @app.after_server_start
        async def join(app):
            # It stops at the signal, by a handler of its own.
            app.ctx.listener = gs.listener(None, None)

        @app.on_request
        async def count(request):
            if request.path == "/readyz":
                return text("stopping" if gs.stopping else "ready", status=503 if gs.stopping else 200)
            request.ctx.counted = app.ctx.listener.enter()
            if not request.ctx.counted:
                return text("draining\n", status=503)

        @app.on_response
        async def uncount(request, response):
            if app.ctx.listener.stopping:
                request.stream.keep_alive = False
            if getattr(request.ctx, "counted", False):
                app.ctx.listener.leave()

    app.run("127.0.0.1", PORT, single_process=True, access_log=False, motd=False, backlog=128)


def tornado():
    import tornado.httpserver
    import tornado.netutil
    import tornado.web

    class Work(tornado.web.RequestHandler):
        counted = False

        def prepare(self):
            if not BARE:
                if listener.stopping:
                    self.set_header("Connection", "close")
                self.counted = listener.enter()
                if not self.counted:
                    self.send_error(503)

        async def get(self):
            await asyncio.sleep(0.01)
            self.write("done\n")

        post = get

        def on_finish(self):
            if self.counted:
                listener.leave()

    class Ready(tornado.web.RequestHandler):
        def get(self):
            self.set_status(503 if gs.stopping else 200)

    async def main():
        global listener
        import logging

        logging.getLogger("tornado.access").setLevel("CRITICAL")
        sockets = tornado.netutil.bind_sockets(PORT, "127.0.0.1")
        server = tornado.httpserver.HTTPServer(tornado.web.Application([("/", Work), ("/readyz", Ready)]))
        server.add_sockets(sockets)
        if BARE:
            await asyncio.Event().wait()

        async def close():
            server.stop()
            await server.close_all_connections()

        listener = gs.listener(sockets, close)
        await gs.stopped.wait()

    asyncio.run(main())
    if not BARE:
        sys.exit(gs.wait())


if __name__ == "__main__":
    globals()[NAME]()
