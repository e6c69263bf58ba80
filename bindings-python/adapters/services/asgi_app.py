"""The ASGI app with the middleware."""

import hooks  # noqa: F401
from bare_app import asgi
from graceshut.asgi import Middleware

app = Middleware(asgi, ready="/readyz", live="/livez")
