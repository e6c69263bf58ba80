"""The exceptions, one per kind, made from core's own table so that the two cannot drift (see ``_errors.pyi``).

Each also inherits the built-in that fits it: ``except ValueError`` catches a bad time, ``except TimeoutError`` a wait that
took too long.
"""

from ._graceshut import error_kinds

_BUILT_IN = {
    "null": (TypeError,),
    "not_utf8": (UnicodeError,),
    "unknown_phase": (ValueError, LookupError),
    "bad_time": (ValueError,),
    "bad_value": (ValueError,),
    "bad_config": (ValueError,),
    "bad_plan": (ValueError,),
    "plan_does_not_fit": (ValueError,),
    "cycle": (ValueError,),
    "os": (OSError,),
    "timeout": (TimeoutError,),
    "unsupported": (NotImplementedError,),
}


class Error(Exception):
    """Any error of graceshut. ``kind`` is for programs, the message for people."""

    kind = "error"
    code = -1


class Draining(Error):
    """``track()`` was entered while work is refused: answer 503 and close the connection."""

    kind = "draining"


def _camel(name):
    return "".join(part.capitalize() for part in name.split("_"))


def _make(name, code):
    bases = (Error,) + _BUILT_IN.get(name, (RuntimeError,))
    return type(_camel(name), bases, {"kind": name, "code": code, "__module__": "graceshut", "__doc__": "Error of kind %s." % name})


BY_KIND = {name: _make(name, code) for name, code in error_kinds()}
Error.__module__ = Draining.__module__ = "graceshut"
globals().update((c.__name__, c) for c in BY_KIND.values())
__all__ = ["Error", "Draining"] + [c.__name__ for c in BY_KIND.values()]
