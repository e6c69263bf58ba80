"""The rule: never worse with graceshut than without; then what the case itself expects."""

from __future__ import annotations

from .cases import Case
from .scenes import Result

#: Seconds that hooks, the door of a listener and a busy machine may add.
SLACK = 4.0


def faults(case: Case, without: list[Result], with_it: list[Result]) -> list[str]:
    """What is wrong, each in one sentence; empty when the case passed."""
    broken = [one.broken for one in (*without, *with_it) if one.broken]
    if broken:
        return ["could not be run: %s" % broken[0]]
    found: list[str] = []
    for one in with_it:
        for fault in (*_worse(case, without, one), *_dishonest(case, one), *_unexpected(case, one)):
            if fault not in found:
                found.append(fault)
    return found


def _worse(case: Case, without: list[Result], one: Result) -> list[str]:
    found = []
    if one.status is not None and -one.status in (4, 6, 7, 8, 11):
        found.append("died by signal %d" % -one.status)
    if one.status is None:
        found.append("still there %.1f s after the signal, killed by the suite" % one.seconds)
    if not without:
        return found
    worst = max(run.lost for run in without)
    if one.lost > worst:
        found.append("lost %d where %d are lost without graceshut" % (one.lost, worst))
    if all(run.status == 0 for run in without) and one.status not in (0, *case.expect.status):
        found.append("exit status %s where it is 0 without graceshut" % one.status)
    slowest = max(run.seconds for run in without)
    if all(run.status is not None for run in without) and one.seconds > max(slowest, case.expect.within) + SLACK:
        found.append("gone after %.1f s, without graceshut after %.1f s" % (one.seconds, slowest))
    for line in sorted(set.intersection(*(set(_own(run)) for run in without)) - set(_own(one))):
        found.append("never said %r, which it says without graceshut" % line)
    for line in sorted(set(_own(one))):
        often = max(_own(run).count(line) for run in without)
        if 0 < often < _own(one).count(line):
            found.append("said %r %d times, without graceshut %d" % (line, _own(one).count(line), often))
    if one.left > max(run.left for run in without):
        found.append("%d processes were left behind" % one.left)
    return found


def _own(run: Result) -> list[str]:
    """The program's own clean-up, as it tells it."""
    return [line for line in run.said if line.startswith("own ")]


def _dishonest(case: Case, one: Result) -> list[str]:
    if one.lost > case.expect.lost and one.outcomes and all(outcome == "clean" for outcome in one.outcomes):
        return ["lost %d, and every report says clean" % one.lost]
    return []


def _unexpected(case: Case, one: Result) -> list[str]:
    expect, found = case.expect, []
    if one.lost > expect.lost:
        found.append("lost %d (%s)" % (one.lost, ", ".join("%s: %d" % item for item in one.why.items()) or "begun and not done"))
    if one.status is not None and one.status not in expect.status:
        found.append("exit status %s, expected %s" % (one.status, " or ".join(map(str, expect.status))))
    if expect.outcome and not one.outcomes and case.scene != "end":
        found.append("no report")
    for outcome in one.outcomes:
        if expect.outcome and outcome not in expect.outcome:
            found.append("outcome %s; %s" % (outcome, "; ".join(one.hooks) or "every hook ok"))
    for line in expect.says:
        if line not in one.said:
            found.append("never said %r" % line)
    if one.status is not None and case.scene != "end" and one.seconds > expect.within:
        found.append("gone after %.1f s, expected within %.1f s" % (one.seconds, expect.within))
    return found
