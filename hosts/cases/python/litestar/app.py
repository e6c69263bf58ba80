import os

from litestar import Litestar, get, post


@get("/", sync_to_thread=False)
def index() -> str:
    return "ok\n"


@post("/", sync_to_thread=False, status_code=200)
def create() -> str:
    return "ok\n"


app = Litestar([index, create])
if os.environ.get("WITH"):
    import graceshut
    import graceshut.asgi

    gs = graceshut.install(grace=8)
    gs.hook("flush", lambda: print("hook flush\n", end="", flush=True), name="flush")
    app = graceshut.asgi.Middleware(app)
