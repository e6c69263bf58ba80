"""Tests run against the installed wheel, signals against child processes that print `ready`; every wait is bounded."""

from __future__ import annotations

import json
import os
import pathlib
import select
import shutil
import signal
import subprocess
import sys
import textwrap
import time

import pytest

import graceshut

SOURCE = pathlib.Path(__file__).resolve().parent.parent
assert SOURCE not in pathlib.Path(graceshut.__file__).resolve().parents, "test the installed wheel, not the source tree"

LIMIT = 30


def pytest_configure(config):
    config.addinivalue_line("markers", "needs(program): left out, and said, on a machine without it")


def pytest_collection_modifyitems(config, items):
    lacking = [i for i in items if any(shutil.which(p) is None for m in i.iter_markers("needs") for p in m.args)]
    if lacking and os.environ.get("CI") == "true":
        raise pytest.UsageError("in CI nothing is left out: %s" % ", ".join(i.name for i in lacking))
    for item in lacking:
        print("left out, for want of a program:", item.name)
        items.remove(item)
    config.hook.pytest_deselected(items=lacking)


# A shell's background job is started with INT ignored, which children would take for the user's choice (spec 3.4).
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGQUIT) == signal.SIG_IGN:
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)

#: Whole lines in one write: hooks print from several threads.
PRELUDE = """
import os, sys, time, signal, threading
import graceshut
def ready_once_waiting():
    from graceshut import _interrupt
    def look():
        while not _interrupt._waiting: time.sleep(0.001)
        time.sleep(0.02)
        print("ready")
    threading.Thread(target=look, daemon=True).start()
def print(*words, end="\\n", flush=True): os.write(1, (" ".join(map(str, words)) + end).encode())
"""


class Child:
    """A Python program under test; it installs by itself, and its report goes to a file."""

    def __init__(self, folder: pathlib.Path, code: str, env: dict[str, str] | None = None) -> None:
        self.script = folder / "child.py"
        self.script.write_text(PRELUDE + textwrap.dedent(code))
        self.report_path = folder / "report.json"
        self.folder = folder
        self.stderr_path = folder / "stderr.txt"
        full = {**os.environ, "GRACESHUT_REPORT": str(self.report_path), "PYTHONUNBUFFERED": "1", **(env or {})}
        full.pop("GRACESHUT_CONFIG", None)
        self.process = subprocess.Popen(
            [sys.executable, str(self.script)], stdout=subprocess.PIPE, stderr=self.stderr_path.open("wb"), env=full, cwd=folder
        )
        self.out = b""
        self.rc: int | None = None
        self.gone_at = 0.0

    def read_until(self, line: str, limit: float = LIMIT) -> None:
        until = time.monotonic() + limit
        stdout = self.process.stdout
        assert stdout is not None
        while line.encode() not in self.out.split(b"\n")[:-1]:
            left = until - time.monotonic()
            assert left > 0 and select.select([stdout], [], [], left)[0], f"no {line!r} in {limit} s: {self.words()}"
            piece = os.read(stdout.fileno(), 65536)
            assert piece, f"ended without {line!r}: {self.words()}"
            self.out += piece

    def ready(self) -> Child:
        self.read_until("ready")
        return self

    def kill(self, signo: int = signal.SIGTERM) -> Child:
        self.signalled_at = time.monotonic()
        self.process.send_signal(signo)
        return self

    def end(self, limit: float = LIMIT) -> Child:
        try:
            rest, _ = self.process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(timeout=5)
            pytest.fail(f"still there after {limit} s: {self.words()}")
        self.gone_at = time.monotonic()
        self.out += rest
        self.rc = self.process.returncode
        return self

    def words(self) -> str:
        return f"stdout {self.out.decode()!r}, stderr {self.err!r}"

    @property
    def lines(self) -> list[str]:
        return self.out.decode().splitlines()

    @property
    def err(self) -> str:
        return self.stderr_path.read_text()

    @property
    def report(self) -> dict:
        return json.loads(self.report_path.read_text())

    def hooks(self) -> list[dict]:
        return [h for phase in self.report["phases"] for h in phase["hooks"]]

    def outcomes(self) -> dict[str, str]:
        """Of every hook but the plan's own."""
        return {h["name"]: h["outcome"] for h in self.hooks() if h["name"] not in ("announce_delay", "inflight")}

    def hook(self, name: str) -> dict:
        return next(h for h in self.hooks() if h["name"] == name)


@pytest.fixture
def child(tmp_path):
    made = []

    def make(code: str, env: dict[str, str] | None = None) -> Child:
        folder = tmp_path / str(len(made))
        folder.mkdir()
        made.append(Child(folder, code, env))
        return made[-1]

    yield make
    for one in made:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait(5)


@pytest.fixture
def manual():
    """An install in this very process that never leaves it."""
    with graceshut.install(exit="manual", report="none", grace=5) as gs:
        yield gs
        if gs.state not in ("armed", "stopped", "idle"):
            gs.wait(timeout=10)
