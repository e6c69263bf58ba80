"""How a WSGI server is brought to say ``Connection: close`` in its answer, and to close.

PEP 3333 forbids the app to send this header: wsgiref and waitress answer 500 to it, gunicorn drops it. So it is sent only to
servers that were seen to take it. Others are told through the object behind the ``write`` that their ``start_response``
gives. A server that is neither is told nothing: its connections end when it stops, as they would without graceshut.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    Environ = dict[str, Any]
    Headers = list[tuple[str, str]]

#: How SERVER_SOFTWARE begins where the header is taken from the app.
_TAKES_HEADER = ("gevent", "granian", "werkzeug", "uwsgi", "twistedweb")
#: Keys of the environment that say the same.
_TAKES_HEADER_KEYS = ("uwsgi.version", "eventlet.input")


def with_close(environ: Environ, headers: Headers) -> Headers:
    """The app's headers, with ``Connection: close`` where the server takes it from an app."""
    software = str(environ.get("SERVER_SOFTWARE", "")).lower()
    if software.startswith(_TAKES_HEADER) or any(key in environ for key in _TAKES_HEADER_KEYS):
        return [*(h for h in headers if h[0].lower() != "connection"), ("Connection", "close")]
    return headers


def tell(write: Any) -> None:
    """After ``start_response`` gave ``write``, and before anything is written."""
    owner = getattr(write, "__self__", None)
    for kind in type(owner).__mro__:
        how = _TOLD_BY.get(kind.__module__.partition(".")[0])
        if how is not None:
            try:
                how(owner)
            except (AttributeError, TypeError):
                pass  # a version that is built differently: as for a server that nobody knows
            return


def _waitress(task: Any) -> None:
    task.request.headers["CONNECTION"] = "close"  # as though the client had asked for it


def _wsgiref(handler: Any) -> None:
    handler.headers["Connection"] = "close"


def _cheroot(gateway: Any) -> None:
    gateway.req.close_connection = True


def _gunicorn(response: Any) -> None:
    response.force_close()


#: By the package of the object that ``write`` is a method of. Django's runserver is wsgiref's.
_TOLD_BY: dict[str, Callable[[Any], None]] = {
    "waitress": _waitress, "wsgiref": _wsgiref, "cheroot": _cheroot, "gunicorn": _gunicorn,
}
