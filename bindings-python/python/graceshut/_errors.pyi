# The static face of _errors.py; tests/test_errors.py compares it with core's table.
from typing import ClassVar

__all__ = [
    "Error",
    "Draining",
    "Null",
    "NotUtf8",
    "UnknownPhase",
    "BadTime",
    "BadValue",
    "BadConfig",
    "BadPlan",
    "PlanDoesNotFit",
    "Disagree",
    "Closed",
    "TooLate",
    "Cycle",
    "WrongThread",
    "NotInstalled",
    "AbiMismatch",
    "Os",
    "Timeout",
    "Unsupported",
    "Internal",
]
BY_KIND: dict[str, type[Error]]

class Error(Exception):
    """Any error of graceshut; each kind is a class of its own, and also the built-in exception that fits it."""

    kind: ClassVar[str]
    code: ClassVar[int]

class Draining(Error):
    """Work was entered while the process drains: answer 503 and close the connection."""

class Null(Error, TypeError):
    """Something that has to be there is None."""

class NotUtf8(Error, UnicodeError):
    """A text holds what UTF-8 cannot (a lone surrogate)."""

class UnknownPhase(Error, ValueError, LookupError):
    """No phase of the plan has that name; the message gives the nearest one."""

class BadTime(Error, ValueError):
    """A time is negative, too long, or no time at all."""

class BadValue(Error, ValueError):
    """A value is outside what is allowed."""

class BadConfig(Error, ValueError):
    """A key or a word of the configuration is unknown, or a file cannot be read; names key, value and the nearest one."""

class BadPlan(Error, ValueError):
    """The phases contradict each other: two of one name, a circle, a missing neighbour."""

class PlanDoesNotFit(Error, ValueError):
    """The reserves come to more than the budget; the message holds the sum."""

class Disagree(Error, RuntimeError):
    """Installed already, with other options; names the first difference."""

class Closed(Error, RuntimeError):
    """The runtime was uninstalled, or is the parent process's."""

class TooLate(Error, RuntimeError):
    """The phase is over, or a shutdown is under way that this cannot go with."""

class Cycle(Error, ValueError):
    """A hook would run after itself."""

class WrongThread(Error, RuntimeError):
    """Called inside a hook, where it would wait for itself."""

class NotInstalled(Error, RuntimeError):
    """Nothing is installed in this process."""

class AbiMismatch(Error, RuntimeError):
    """Another copy of graceshut in this process speaks another version."""

class Os(Error, OSError):
    """The system refused: handlers, threads or memory."""

class Timeout(Error, TimeoutError):
    """The wait ended first."""

class Unsupported(Error, NotImplementedError):
    """This build or this place cannot do that."""

class Internal(Error, RuntimeError):
    """A defect of graceshut."""

