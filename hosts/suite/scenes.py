"""One run of a case: start, load or work, the signal, the end; and what came of it."""

from __future__ import annotations

import collections
import dataclasses
import os
import pathlib
import shutil
import time
from collections.abc import Callable

from . import load
from .cases import Case
from .process import NotReady, Program
from .where import Where

#: How long a start may take; the first one of a JVM or of a compiled TypeScript on a busy machine is slow.
START = 60.0
#: What is waited for beyond the grace before a program is killed by the suite.
BEYOND = 7.0


@dataclasses.dataclass
class Result:
    """What one run came to."""

    answered: int = 0
    refused: int = 0
    lost: int = 0
    why: dict[str, int] = dataclasses.field(default_factory=dict)
    #: None: still there `BEYOND` after the grace.
    status: int | None = None
    seconds: float = 0.0
    left: int = 0
    outcomes: list[str] = dataclasses.field(default_factory=list)
    #: Hooks that did not end ok, as `name: outcome`.
    hooks: list[str] = dataclasses.field(default_factory=list)
    said: list[str] = dataclasses.field(default_factory=list)
    #: By how much the clients themselves were late.
    late: float = 0.0
    #: The case could not be run at all.
    broken: str = ""
    words: str = ""


@dataclasses.dataclass
class Other:
    """What a scene needs beside the program."""

    port: int
    #: Starts the case's client.
    client: Callable[[], Program]


class Runner:
    """Runs cases one after another. `target` is a folder for what they write; ports are taken from `ports` in turns."""

    def __init__(self, where: Where, cases: pathlib.Path, target: pathlib.Path, ports: range) -> None:
        self.where, self.cases, self.target, self._ports, self._next = where, cases, target, ports, 0

    def port(self) -> int:
        self._next += 1
        return self._ports[self._next % len(self._ports)]

    def run(self, case: Case, with_graceshut: bool) -> Result:
        folder = self.target / case.language / case.name / ("with" if with_graceshut else "without")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        port = self.port()
        env = self.env(case, folder, port, with_graceshut)
        redis = None
        try:
            if case.redis:
                env["REDIS_PORT"] = str(self.port())
                redis = _redis(int(env["REDIS_PORT"]), folder, env)
            client = [self.word(word, folder, port, env) for word in case.client]
            command = [self.word(word, folder, port, env) for word in (case.command if with_graceshut else case.bare or case.command)]
            command[0] = self.where.program(case.language, command[0])
            program = Program(command, self.place(case), env, folder / "reports")
            try:
                result = SCENES[case.scene](case, program, Other(port, lambda: Program(client, self.place(case), env, folder / "client")))
            except NotReady as error:
                result = Result(broken=str(error))
            finally:
                program.end()
        except (NotReady, OSError) as error:
            return Result(broken=str(error))
        finally:
            if redis is not None:
                redis.end()
        return _finish(result, program)

    def place(self, case: Case) -> pathlib.Path:
        """A copy of the case and of its language's apps, for Node where its packages are found: cases leave things behind."""
        copy = (self.where.node if case.language == "node" else self.where.home) / "cases" / case.language / case.name
        for folder in (case.folder.parent / "apps", case.folder):
            if folder.exists():
                shutil.copytree(folder, copy, dirs_exist_ok=True)
        return copy

    def env(self, case: Case, folder: pathlib.Path, port: int, with_graceshut: bool) -> dict[str, str]:
        env = {key: value for key, value in os.environ.items() if not key.startswith("GRACESHUT_")}
        env.update(self.where.env(case.language))
        env.update(
            PORT=str(port), OUT=str(folder), BUILT=str(folder.parent / "built"), GRACESHUT_REPORT=str(folder / "reports" / "%p.json"),
            PYTHONUNBUFFERED="1", PYTHONDONTWRITEBYTECODE="1", NO_COLOR="1",
        )
        env.update({key: self.word(value, folder, port, env) for key, value in case.env.items()})
        if with_graceshut:
            env["WITH"] = "1"
        return env

    def word(self, word: str, folder: pathlib.Path, port: int, env: dict[str, str]) -> str:
        word = word.replace("{port}", str(port)).replace("{out}", str(folder)).replace("{built}", str(folder.parent / "built"))
        word = word.replace("{node}", str(self.where.node)).replace("{redis}", env.get("REDIS_PORT", ""))
        return word.replace("{class_path}", self.where.class_path).replace("{home}", str(self.where.home)).replace("{cases}", str(self.cases))


def _redis(port: int, folder: pathlib.Path, env: dict[str, str]) -> Program:
    made = Program(["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)], folder, env, folder / "redis")
    until = time.monotonic() + 10
    while not any("eady to accept connections" in text for _, text in list(made.lines)):
        if made.ended is not None or time.monotonic() > until:
            made.end()
            raise NotReady("redis-server did not start:\n" + made.words())
        time.sleep(0.02)
    return made


def _serves(program: Program, port: int) -> None:
    if not load.answers(port, START, lambda: program.ended is None):
        raise NotReady("no answer on port %d:\n%s" % (port, program.words()))


def _under_load(case: Case, program: Program, other: Other) -> Result:
    _serves(program, other.port)
    clients = load.Load(other.port)
    clients.start()
    until = time.monotonic() + 20
    while clients.answered < 400:
        if time.monotonic() > until or program.ended is not None:
            clients.stop()
            raise NotReady("only %d answers in 20 s:\n%s" % (clients.answered, program.words()))
        time.sleep(0.02)
    before = clients.lost
    result = _stop(case, program)
    clients.stop()
    result.answered, result.refused, result.lost, result.why = clients.answered, clients.refused, clients.lost, dict(clients.why)
    result.late = clients.late
    if before:
        raise NotReady("%d lost before the signal: %s\n%s" % (before, dict(clients.why), program.words()))
    return result


def _in_flight(case: Case, program: Program, other: Other) -> Result:
    _serves(program, other.port)
    clients = load.Slow(other.port, case.requests)
    clients.start()
    program.wait_for("begun", 20, case.requests)
    result = _stop(case, program)
    clients.join(5)
    result.answered, result.lost, result.why = clients.answered, case.requests - clients.answered, dict(clients.why)
    return result


def _signalled(case: Case, program: Program, other: Other) -> Result:
    """Work is lost that was begun (`begun X`) and not done (`done X`) when the process was gone."""
    program.wait_for("ready", START)
    worker = other.client() if case.client else program
    try:
        worker.wait_for("ready", START)
        time.sleep(case.after)
        result = _stop(case, program)
        if case.client:
            worker.wait(2)
    finally:
        worker.end()
    begun, done = ([text for _, text in worker.lines if text.startswith(word)] for word in ("begun ", "done "))
    result.answered, result.lost = len(done), len(begun) - len(done)
    result.why = dict(collections.Counter(text.split()[0] for _, text in worker.lines if text.startswith("cut ")))
    return result


def _to_the_end(case: Case, program: Program, other: Other) -> Result:
    started = time.monotonic()
    status = program.wait(START * 2)
    return Result(status=status, seconds=(program.ended or time.monotonic()) - started)


def _stop(case: Case, program: Program) -> Result:
    at = program.signal(case.signal, case.to)
    if case.again:
        # No handshake: later than a duplicate (spec 7.1), at the side of the host's own stop.
        time.sleep(case.again)
        program.signal(case.signal, case.to)
    status = program.wait(case.grace + BEYOND)
    return Result(status=status, seconds=(program.ended or time.monotonic()) - at)


SCENES = {"load": _under_load, "flight": _in_flight, "signal": _signalled, "end": _to_the_end}


def _finish(result: Result, program: Program) -> Result:
    reports = program.reports()
    result.left = program.left
    result.outcomes = [report["outcome"] for report in reports]
    result.hooks = [
        "%s: %s%s" % (hook["name"], hook["outcome"], " (%s)" % hook["message"] if hook.get("message") else "")
        for report in reports for phase in report["phases"] for hook in phase["hooks"] if hook["outcome"] != "ok"
    ]
    result.said = [text for _, text in program.lines]
    result.words = program.words()
    return result
