"""Flask on its own server (werkzeug's): ``graceshut.flask.run(app, port=8000)``. For real servers see ``graceshut.gunicorn``."""

from __future__ import annotations

from . import _server

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import timedelta
    from typing import Any, Iterable, Optional, Union

    from . import GraceShut

__all__ = ["run"]


def run(
    app: Any, host: str = "127.0.0.1", port: int = 5000, *, ready: Optional[str] = None, live: Optional[str] = None,
    end_streams_after: Union[float, timedelta, None] = None, stream_types: Iterable[str] = (), gs: Optional[GraceShut] = None, **options: Any,
) -> None:
    """Serves any WSGI app on werkzeug's server until the process is told to stop; returns when the plan is over.

    end_streams_after, stream_types: as for :func:`graceshut.http_server.serve`.
    options: as for ``werkzeug.serving.make_server``; threaded unless said otherwise. No reloader: it is another process.
    Raises ImportError without werkzeug.
    """
    try:
        from werkzeug.serving import make_server
    except ImportError as error:
        raise ImportError("graceshut.flask needs werkzeug: pip install 'graceshut[flask]'") from error
    from .http_server import serve

    options.setdefault("threaded", not options.get("processes"))
    server = make_server(host, port, app, **options)
    server.log_startup()
    install = _server.of(gs).gs

    def deals_with_it(event: dict[str, Any]) -> None:
        if event["event"] == "trigger":
            install._host_deals_with_it()  # werkzeug's own `run_simple` returns after Ctrl-C

    install.on_event(deals_with_it)
    serve(server, ready=ready, live=live, end_streams_after=end_streams_after, stream_types=stream_types, gs=gs)
