"""Events as lines of ``logging.getLogger("graceshut")``."""

from __future__ import annotations

import logging

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

logger = logging.getLogger("graceshut")


def _seconds(event: dict[str, Any]) -> str:
    return "%.3fs" % (event.get("value", 0) / 1e6)


def line(event: dict[str, Any]) -> tuple[int, str]:
    """Level and words."""
    kind, outcome, message = event["event"], event.get("outcome"), event.get("message")
    phase, hook = event.get("phase", "?"), event.get("hook", "?")
    tail = ": %s" % message if message else ""
    if kind == "trigger":
        return logging.INFO, "trigger %s (%s)" % (message or "without a word", outcome)
    if kind == "phase_start":
        return logging.INFO, "phase %s begins, at most %s" % (phase, _seconds(event))
    if kind == "phase_end":
        return logging.INFO, "phase %s %s" % (phase, outcome or "ended")
    if kind == "hook_start":
        return logging.INFO, "hook %s/%s begins, at most %s" % (phase, hook, _seconds(event))
    if kind == "hook_cancel":
        return logging.WARNING, "hook %s/%s is cancelled" % (phase, hook)
    if kind == "hook_end":
        level = logging.INFO if outcome == "ok" or message == "host_closed" else logging.WARNING
        return level, "hook %s/%s %s%s" % (phase, hook, outcome, tail)
    if kind == "progress":
        return logging.INFO, "hook %s/%s: %s of %s" % (phase, hook, event.get("value"), event.get("total") or "?")
    if kind == "log":
        return logging.INFO, "%s/%s%s" % (phase, hook, tail) if "hook" in event else str(message)
    if kind == "reload":
        return (logging.WARNING if outcome == "failed" else logging.INFO), "reload %s%s" % (outcome, tail)
    if kind == "handler":
        return (logging.INFO if outcome == "ignored" else logging.WARNING), "%s (%s)" % (message, outcome)
    if kind == "deadline":
        return logging.INFO, "deadline moved to %s after the trigger" % _seconds(event)
    if kind == "finished":
        level = logging.INFO if outcome == "clean" else logging.WARNING
        return level, "shutdown %s, exit status %s" % (outcome, event.get("value"))
    return logging.INFO, "%s%s" % (kind, tail)


def log(event: dict[str, Any]) -> None:
    level, words = line(event)
    if logger.isEnabledFor(level):
        logger.log(level, words, extra={"graceshut": event})
