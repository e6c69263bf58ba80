"""The ASGI app for servers whose adapter puts the middleware there; as a program, on the adapter named by its argument."""

import sys

import hooks  # noqa: F401
from bare_app import asgi as app

if __name__ == "__main__":
    port = int(sys.argv[2])
    if sys.argv[1] == "uvicorn":
        import graceshut.uvicorn

        graceshut.uvicorn.run(app, port=port, ready="/readyz", access_log=False)
    else:
        import graceshut.hypercorn

        graceshut.hypercorn.run(app, bind=["127.0.0.1:%d" % port], ready="/readyz")
