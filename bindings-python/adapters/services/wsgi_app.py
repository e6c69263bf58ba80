"""The WSGI app for servers whose adapter puts the middleware there; `wrapped` for the others."""

import hooks  # noqa: F401
from bare_app import wsgi as app
from graceshut.wsgi import Middleware

wrapped = Middleware(app, ready="/readyz", live="/livez")
