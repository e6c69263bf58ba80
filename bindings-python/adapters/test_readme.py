"""The README's table is what the last run measured; `UPDATE=1` writes it."""

from __future__ import annotations

import json
import os

from conftest import ROWS, SOURCE, _rows

BEGIN, END = "<!-- adapters: begin, made by `make adapters-python UPDATE=1` -->", "<!-- adapters: end -->"
README = SOURCE / "README.md"


def cells(row: dict) -> list[str]:
    lost = str(row["lost"]) if row["unit"] in (None, "requests") else "%d %s" % (row["lost"], row["unit"])
    without = "" if row["lost_without"] is None else str(row["lost_without"])
    storm = "" if row.get("storm") is None else "0" if row["storm"] == 0 else "%d of %d" % (row["storm"], row["storm_asked"])
    return [row["name"], row["version"], row["line"], row["signals"], row["hooks"], without, lost, storm, row["exit"]]


def table(rows: list[dict]) -> str:
    head = ["server", "tested at", "one line", "signals", "hooks", "lost without", "lost", "cut off in a storm", "exit status"]
    lines = [head, ["---"] * len(head), *map(cells, rows)]
    return "\n".join("| %s |" % " | ".join(line) for line in lines) + "\n"


def settled(text: str) -> list[list[str]]:
    """Without what varies from run to run: what the bare server lost, and how large a storm was that was not weathered."""
    lines = [[cell.strip() for cell in line.strip().strip("|").split(" | ")] for line in text.strip().splitlines()]
    for line in lines:
        if len(line) == 9 and line[5].isdigit():
            line[5] = "n"
        if len(line) == 9 and " of " in line[7]:
            line[7] = "n of m"
    return lines


def test_the_table_is_what_was_measured():
    rows = json.loads(ROWS.read_text())["rows"]
    names = {row["name"] for row in _rows}
    measured, text = table(rows), README.read_text()
    before, rest = text.split(BEGIN)
    block, after = rest.split(END)
    if os.environ.get("UPDATE"):
        README.write_text(before + BEGIN + "\n\n" + measured + "\n" + END + after)
        return
    if not names:
        # Run alone, it compares with the last run.
        names = {row["name"] for row in rows}
    assert names <= {row["name"] for row in rows}
    assert settled(block) == settled(measured), "run `make adapters-python UPDATE=1`"
