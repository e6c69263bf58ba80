"""Processes in which uWSGI serves.

Their main thread is uWSGI's, which takes no call to leave. And uWSGI's own handler calls exit from inside the signal handler, wherever
its thread is: amid a request, or a wait for the interpreter's lock, which no other thread then gets. So the stop signals are kept
from it until the plan is over, and then it ends the process. A master has another handler, which ends the workers.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def has_master(uwsgi: Any) -> bool:
    return any(name in uwsgi.opt for name in ("master", b"master", "M", b"M"))


def serves_here() -> bool:
    """Whether this process is one that serves: a worker, or one that has no master."""
    # Built in where uWSGI runs Python; elsewhere a program may have a module of that name.
    uwsgi: Any = sys.modules.get("uwsgi")
    if not hasattr(uwsgi, "worker_id") or not hasattr(uwsgi, "opt"):
        return False
    return not has_master(uwsgi) or uwsgi.worker_id() > 0
