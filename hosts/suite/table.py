"""What a run of the suite looks like: lines on the terminal, hosts.json, the table of docs/coexistence.md."""

from __future__ import annotations

import dataclasses
import json
import pathlib

from .cases import Case
from .scenes import Result

BEGIN = "<!-- hosts: begin, made by `make test-hosts UPDATE=1` -->"
END = "<!-- hosts: end -->"


@dataclasses.dataclass
class Row:
    case: Case
    versions: str
    without: list[Result]
    with_it: list[Result]
    faults: list[str]

    @property
    def verdict(self) -> str:
        return "FAILED" if self.faults else "passed"


def _span(values: list) -> str:
    low, high = min(values), max(values)
    return str(low) if low == high else "%s to %s" % (low, high)


def words(case: Case, runs: list[Result]) -> str:
    """What runs of one kind came to, in a cell."""
    if not runs:
        return "not run: " + case.no_without if case.no_without else "not run"
    if any(one.broken for one in runs):
        return "could not be run"
    statuses = ", ".join(dict.fromkeys(_status(one) for one in runs))
    parts = [] if case.scene == "end" else ["%s lost" % _span([one.lost for one in runs])]
    parts.append(statuses)
    if case.scene != "end":
        parts.append("%s s" % _span([round(one.seconds, 1) for one in runs]))
    outcomes = dict.fromkeys(outcome for one in runs for outcome in one.outcomes)
    if outcomes:
        parts.append("/".join(outcomes))
    return ", ".join(parts)


def _status(one: Result) -> str:
    if one.status is None:
        return "never ended"
    return "exit %d" % one.status if one.status >= 0 else "killed by signal %d" % -one.status


def line(row: Row) -> str:
    return "%-7s %-34s %-30s %-34s %-42s %s" % (
        row.case.language, row.case.host, row.versions, words(row.case, row.without), words(row.case, row.with_it), row.verdict)


HEAD = "%-7s %-34s %-30s %-34s %-42s %s" % ("", "host", "version", "without", "with", "verdict")


def write_json(rows: list[Row], file: pathlib.Path) -> None:
    """Rows of cases that did not run this time stay as they were."""
    known = json.loads(file.read_text())["rows"] if file.exists() else {}
    for row in rows:
        known[row.case.key] = {
            "host": row.case.host, "version": row.versions, "verdict": row.verdict, "faults": row.faults,
            "does": row.case.does, "write": row.case.write,
            "without": words(row.case, row.without), "with": words(row.case, row.with_it),
            "runs": {
                name: [{key: value for key, value in dataclasses.asdict(one).items() if key != "words"} for one in runs]
                for name, runs in (("without", row.without), ("with", row.with_it))
            },
        }
    file.write_text(json.dumps({"rows": known}, indent=1) + "\n")


def update(page: pathlib.Path, file: pathlib.Path, order: list[str]) -> None:
    """Writes the table between the marks of the page, from hosts.json, in the order given."""
    rows = json.loads(file.read_text())["rows"]
    lines = ["| | host | tested at | what it does with signals | what to write | without | with |", "|---|---|---|---|---|---|---|"]
    for key in order:
        if key in rows:
            one = rows[key]
            failed = " (**failed**: %s)" % one["faults"][0].splitlines()[0] if one["faults"] else ""
            cells = (key.partition("/")[0], one["host"], one["version"], one["does"], one["write"], one["without"], one["with"] + failed)
            lines.append("| %s |" % " | ".join(cell.replace("|", "\\|") for cell in cells))
    text = page.read_text()
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    page.write_text(head + BEGIN + "\n\n" + "\n".join(lines) + "\n\n" + END + tail)
