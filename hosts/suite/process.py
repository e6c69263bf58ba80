"""A program under test: its start, its words, its end, and what it leaves behind."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import subprocess
import threading
import time
import uuid


#: What the process that was started has told to end may end by itself for this long.
SETTLE = 0.2


class NotReady(Exception):
    """The program ended, or said nothing in time, before it was ready; the message has its words."""


class Program:
    """Runs a command in a session of its own, until `wait` or `end`.

    When the process that was started is gone, whatever it started is killed, as the end of PID 1 does in a container.
    """

    def __init__(self, command: list[str], folder: pathlib.Path, env: dict[str, str], reports: pathlib.Path) -> None:
        self.reports_folder = reports
        reports.mkdir(parents=True, exist_ok=True)
        self._mark = "CASE_RUN=%s" % uuid.uuid4()
        self.lines: list[tuple[float, str]] = []
        self._news = threading.Condition()
        self._process = subprocess.Popen(
            command, cwd=folder, env={**env, "CASE_RUN": self._mark.partition("=")[2]}, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )
        self.pid = self._process.pid
        #: Processes that were still there when the one that was started was gone.
        self.left = 0
        self.ended: float | None = None
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._waiter = threading.Thread(target=self._wait, daemon=True)
        self._waiter.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._news:
                self.lines.append((time.monotonic(), line.decode(errors="replace").rstrip()))
                self._news.notify_all()

    def _wait(self) -> None:
        self._process.wait()
        with self._news:
            self.ended = time.monotonic()
        time.sleep(SETTLE)
        rest = self._others()
        self.left = len(rest)
        for pid in rest:
            _kill(pid)
        with self._news:
            self._news.notify_all()

    def _others(self) -> list[int]:
        found = []
        for entry in pathlib.Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != self.pid:
                try:
                    if self._mark.encode() in (entry / "environ").read_bytes().split(b"\0"):
                        found.append(int(entry.name))
                except OSError:
                    pass
        return found

    def said(self, line: str) -> int:
        """How often it printed this line."""
        return sum(text == line for _, text in list(self.lines))

    def wait_for(self, line: str, seconds: float, times: int = 1) -> None:
        """Blocks until the line was printed that often. Raises NotReady when it ended or took longer."""
        until = time.monotonic() + seconds
        with self._news:
            while self.said(line) < times:
                left = until - time.monotonic()
                if self.ended is not None or left <= 0:
                    raise NotReady("no line %r within %.0f s:\n%s" % (line, seconds, self.words()))
                self._news.wait(min(left, 0.5))

    def words(self) -> str:
        return "\n".join("    | " + text for _, text in self.lines[-25:])

    def signal(self, name: str, to: str) -> float:
        """Sends the signal and returns when that was."""
        number = getattr(signal, "SIG" + name)
        at = time.monotonic()
        try:
            os.killpg(self.pid, number) if to == "group" else os.kill(self.pid, number)
        except ProcessLookupError:
            pass
        return at

    def wait(self, seconds: float) -> int | None:
        """The exit status, negative for a signal; None where it was still there and had to be killed."""
        self._waiter.join(seconds)
        late = self._waiter.is_alive()
        self.end()
        return None if late else self._process.returncode

    def end(self) -> None:
        """Kills what is left of it. Its words are complete afterwards."""
        if self._process.poll() is None:
            _kill(self.pid)
        self._waiter.join(10)
        self._reader.join(2)

    def reports(self) -> list[dict]:
        found = []
        for file in sorted(self.reports_folder.glob("*.json")):
            for line in file.read_text().splitlines():
                if line.startswith("{"):
                    found.append(json.loads(line))
        return found


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
