"""Adapters are tested against the real packages, under `graceshut verify`; each test makes a row of the README's table.

Run by `make adapters-python`, in a virtual environment with requirements-adapters.txt and the built wheel in it.
"""

from __future__ import annotations

import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
from importlib.metadata import version

import pytest

import graceshut
from cases import CASES

SOURCE = pathlib.Path(__file__).resolve().parent.parent
assert SOURCE not in pathlib.Path(graceshut.__file__).resolve().parents, "test the installed wheel, not the source tree"

TARGET = pathlib.Path(os.environ.get("ADAPTERS_TARGET", SOURCE.parent / "target"))
ROWS = TARGET / "adapters-python.json"
GRACESHUT = TARGET / "release" / "graceshut"
SERVICES = SOURCE / "adapters" / "services"
BIN = pathlib.Path(sys.executable).parent

_rows: list[dict] = []
#: The table's order.
ORDER = [
    *[case.name for case in CASES], "uWSGI, one process", "uWSGI, master", "uWSGI, master, lazy-apps", "gRPC", "gRPC, aio",
    "celery, prefork", "celery, solo", "celery, threads", "arq", "rq", "dramatiq", "aiokafka", "confluent-kafka",
    "Jupyter kernel",
]


def program(word: str) -> str:
    return str(BIN / word)


def versions(packages) -> str:
    found = ["%s %s" % (name, version(name)) for name in packages]
    return ", ".join(found) or "CPython %d.%d" % sys.version_info[:2]


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Verified:
    """One run of `graceshut verify`."""

    def __init__(self, folder: pathlib.Path, command, *options: str, env=None, limit: float = 60) -> None:
        self.folder = folder
        (folder / "reports").mkdir(parents=True)
        verdict = folder / "verdict.json"
        full = {
            **os.environ, "GRACESHUT_REPORT": str(folder / "reports" / "%p.json"), "GRACESHUT_GRACE": "10s",
            "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(SERVICES), **(env or {}),
        }
        full.pop("GRACESHUT_CONFIG", None)
        argv = [str(GRACESHUT), "verify", "--json", str(verdict), *options, "--", program(command[0]), *command[1:]]
        with subprocess.Popen(
            argv, env=full, cwd=SERVICES, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            try:
                self.words, _ = process.communicate(timeout=limit)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGTERM)  # it kills its service first
                self.words, _ = process.communicate(timeout=20)
                pytest.fail("no verdict after %s s: %s" % (limit, self.words))
        self.status = process.returncode
        text = verdict.read_text() if verdict.exists() else ""
        assert text, self.words
        self.verdict = json.loads(text)
        self.reports = [json.loads(p.read_text()) for p in sorted((folder / "reports").glob("*.json"))]

    @property
    def traces(self) -> list[str]:
        return [line.partition("trace ")[2] for line in self.words.splitlines() if line.startswith("| trace ")]

    @property
    def lost(self) -> int:
        return self.verdict["requests"]["lost"]

    @property
    def exit_words(self) -> str:
        ended = self.verdict["exit"]
        return str(ended["code"]) if ended["code"] is not None else "by %s" % ended["signal_name"]

    def check_plan(self, processes: int) -> None:
        """Every process with a plan ended clean, every hook ok, its handler kept, its exit status 0."""
        assert self.status == 0 and self.verdict["passed"], self.words
        assert len(self.reports) == processes, self.words
        for report in self.reports:
            assert report["outcome"] == "clean" and report["exit_code"] == 0, report
            # `ignored`: hypercorn's main process hands INT on so, on purpose.
            states = {one["signal"]: one["state"] for one in report["handler"]}
            assert states.pop("INT") in ("ours", "ignored") and states == {"HUP": "ours", "TERM": "ours"}, states
            hooks = [hook for phase in report["phases"] for hook in phase["hooks"]]
            assert {"deregister", "buffers", "pool", "telemetry"} <= {hook["name"] for hook in hooks}
            assert all(hook["outcome"] == "ok" for hook in hooks), hooks
        for what in ("announce", "flush", "close", "final"):
            assert self.traces.count(what) == processes, self.words
        assert self.exit_words == "0"


@pytest.fixture
def row(request):
    """Notes a row: in this run's list, and in the file, where rows of tests that did not run stay as they were."""

    def note(made: dict) -> None:
        _rows.append(made)
        known = json.loads(ROWS.read_text())["rows"] if ROWS.exists() and not _fresh(request.config) else []
        kept = [one for one in known if one["name"] not in {r["name"] for r in _rows}]
        rows = sorted([*kept, *_rows], key=lambda one: ORDER.index(one["name"]) if one["name"] in ORDER else len(ORDER))
        ROWS.write_text(json.dumps({"python": sys.version.split()[0], "rows": rows}, indent=1) + "\n")

    return note


@pytest.fixture
def storm():
    """Notes what a storm of connections came to, in the row of the same name."""

    def note(name: str, cut: int, asked: int) -> None:
        found = json.loads(ROWS.read_text()) if ROWS.exists() else {"rows": []}
        for one in [*_rows, *found["rows"]]:
            if one["name"] == name:
                one["storm"] = cut
                one["storm_asked"] = asked
        ROWS.write_text(json.dumps(found, indent=1) + "\n")

    return note


def _fresh(config) -> bool:
    """The whole suite runs: rows of earlier ones are of no interest."""
    return not config.option.keyword and all(pathlib.Path(a.split("::")[0]).resolve().is_dir() for a in config.args)


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.path.name == "test_readme.py")
