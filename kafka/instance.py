"""One running consumer: its process, what it says, how it ends."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import threading
import time
from dataclasses import dataclass, field

from broker import started

GRACE = 10.0
#: After the grace something outside kills the process; a little slack for a busy machine.
KILL_AFTER = GRACE + 0.5
READY_WITHIN = 60.0


@dataclass
class Stop:
    """What one SIGTERM came to. Times in seconds from the signal; ``reassigned`` None where it was not seen."""

    name: str
    at: float
    gone: float | None = None
    killed: bool = False
    status: int | None = None
    outcome: str = "-"
    reassigned: float | None = None
    #: No other instance was sure to be there: when the group was stable says nothing.
    alone: bool = False
    hooks: list[str] = field(default_factory=list)


class Instance:
    """Prints ``ready`` when it has partitions and ``BLOCK`` when it blocks; stderr and report are files in ``folder``."""

    def __init__(self, name: str, command: list[str], env: dict[str, str], folder: pathlib.Path, cwd: pathlib.Path) -> None:
        self.name = name
        self.report = folder / (name + ".report.json")
        self.stderr = folder / (name + ".stderr")
        full = {**os.environ, **env, "NAME": name, "GRACESHUT_REPORT": str(self.report), "GRACESHUT_GRACE": "%ds" % GRACE}
        with self.stderr.open("wb") as stderr:
            self.process = started(subprocess.Popen(command, env=full, cwd=cwd, stdout=subprocess.PIPE, stderr=stderr, text=True))
        self.said: dict[str, threading.Event] = {"ready": threading.Event(), "BLOCK": threading.Event()}
        self.stop: Stop | None = None
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        for line in self.process.stdout:
            if (event := self.said.get(line.strip())) is not None:
                event.set()

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def wait_for(self, word: str, limit: float = READY_WITHIN) -> Instance:
        until = time.monotonic() + limit
        while not self.said[word].wait(0.05):
            if not self.alive:
                raise RuntimeError("%s ended without %r: %s" % (self.name, word, self.last_words()))
            if time.monotonic() > until:
                raise RuntimeError("%s did not say %r in %d s: %s" % (self.name, word, limit, self.last_words()))
        return self

    def last_words(self) -> str:
        return self.stderr.read_text(errors="replace")[-1500:]

    def term(self) -> Stop:
        """SIGTERM; a thread of its own waits for the end, and kills at the end of the grace."""
        self.stop = Stop(self.name, time.monotonic())
        self.process.terminate()
        self._ending = threading.Thread(target=self._end, args=(self.stop,), daemon=True)
        self._ending.start()
        return self.stop

    def _end(self, stop: Stop) -> None:
        try:
            self.process.wait(KILL_AFTER)
        except subprocess.TimeoutExpired:
            stop.killed = True
            self.process.kill()
            self.process.wait()
        stop.gone = time.monotonic() - stop.at
        stop.status = self.process.returncode
        if self.report.exists() and (text := self.report.read_text()):
            report = json.loads(text)
            stop.outcome = report["outcome"]
            stop.hooks = [
                "%s %s %s %d%s" % (p["name"], h["name"], h["outcome"], h["used_us"] / 1000, " " + h["message"] if h.get("message") else "")
                for p in report["phases"] for h in p["hooks"] if h["name"] != "inflight" or h["outcome"] != "ok"
            ]

    def join(self) -> Stop:
        self._ending.join(KILL_AFTER + 10)
        assert self.stop is not None and self.stop.gone is not None
        return self.stop

    def kill(self) -> None:
        if self.alive:
            self.process.kill()
            self.process.wait()
