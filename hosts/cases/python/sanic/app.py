import asyncio
import os

from sanic import Sanic, response

app = Sanic("case")


@app.before_server_start
async def start(app):
    if os.environ.get("WITH"):
        import graceshut

        gs = graceshut.install(grace=8)
        gs.hook("flush", lambda: print("hook flush"), name="flush")


@app.after_server_stop
async def stopped(app):
    print("own after_server_stop")


@app.route("/", methods=["GET", "POST"])
async def index(request):
    return response.text("ok\n")


@app.get("/slow")
async def slow(request):
    print("begun")
    await asyncio.sleep(1.5)
    return response.text("ok\n")


if __name__ == "__main__":
    app.run("127.0.0.1", int(os.environ["PORT"]), single_process=True, access_log=False, motd=False)
