import asyncio
import os
import signal

import tornado.web

if os.environ.get("WITH"):
    import graceshut

    gs = graceshut.install(grace=8)
    gs.hook("flush", lambda: print("hook flush"), name="flush")


class Index(tornado.web.RequestHandler):
    def get(self):
        self.write("ok\n")

    post = get


class Slow(tornado.web.RequestHandler):
    async def get(self):
        print("begun")
        Slow.busy = asyncio.current_task()
        await asyncio.sleep(1.5)
        self.write("ok\n")


async def main():
    server = tornado.web.Application([("/", Index), ("/slow", Slow)]).listen(int(os.environ["PORT"]), "127.0.0.1")
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()
    server.stop()
    await asyncio.sleep(2)  # for requests in flight
    await server.close_all_connections()
    print("own stop")


asyncio.run(main())
