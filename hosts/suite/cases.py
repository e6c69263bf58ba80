"""A case: one small program, how it is started and stopped, and what has to come of it."""

from __future__ import annotations

import dataclasses
import pathlib
import tomllib

LANGUAGES = ("python", "node", "go", "java", "c")
SCENES = ("load", "flight", "signal", "end")


class BadCase(ValueError):
    """A case.toml that cannot be run; the message names the file."""


@dataclasses.dataclass(frozen=True)
class Expect:
    """What the run with graceshut has to come to, beside the rule that it is never worse than the run without."""

    lost: int = 0
    status: tuple[int, ...] = (0,)
    #: Outcomes a report may have; empty: no report has to be there.
    outcome: tuple[str, ...] = ("clean",)
    #: Lines that the program has to print, in any order.
    says: tuple[str, ...] = ()
    #: Seconds from the signal until the process is gone.
    within: float = 6.0


@dataclasses.dataclass(frozen=True)
class Case:
    language: str
    name: str
    folder: pathlib.Path
    #: What the table calls it.
    host: str
    #: Packages whose versions the table shows.
    versions: tuple[str, ...]
    #: `load`: keep-alive and new connections; `flight`: slow requests, nothing else; `signal`: none, the program
    #: counts `begun X` and `done X`; `end`: no signal, it has to end by itself.
    scene: str
    command: tuple[str, ...]
    #: The command without graceshut, where it is another one.
    bare: tuple[str, ...] = ()
    #: In the scene `signal`: started when the program is ready, and counted in its stead; says `ready` when the signal may come.
    client: tuple[str, ...] = ()
    #: Run once before, in the case's folder; {out} is a folder for what they make.
    build: tuple[tuple[str, ...], ...] = ()
    #: Seconds between `ready` and the signal, in the scene `signal`.
    after: float = 0.0
    #: Slow requests under way when the signal comes, in the scene `flight`.
    requests: int = 1
    #: `pid`: the process that was started; `group`: it and what it started, as Ctrl-C does.
    to: str = "pid"
    signal: str = "TERM"
    #: Seconds after which the signal is sent once more; 0: it is sent once.
    again: float = 0.0
    grace: float = 8.0
    redis: bool = False
    #: Programs of the machine without which it is left out, and said; with CI=true that is a failure.
    needs: tuple[str, ...] = ()
    quick: bool = False
    #: Number of runs with graceshut where one says little.
    runs: int = 1
    env: dict[str, str] = dataclasses.field(default_factory=dict)
    #: Part of docs/coexistence.md: what the host does with signals, and what a program has to write.
    does: str = ""
    write: str = ""
    #: Left out of the comparison: reason in words.
    no_without: str = ""
    expect: Expect = Expect()

    @property
    def key(self) -> str:
        return "%s/%s" % (self.language, self.name)


def _tuples(value):
    return tuple(_tuples(one) for one in value) if isinstance(value, list) else value


def load(file: pathlib.Path) -> Case:
    """Reads a case.toml. Raises BadCase for an unknown key, a missing one, an unknown scene."""
    try:
        table = tomllib.loads(file.read_text())
        expect = table.pop("expect", {})
        for key in ("status", "outcome"):
            if key in expect and not isinstance(expect[key], list):
                expect[key] = [expect[key]]
        made = Case(
            language=file.parts[-3], name=file.parts[-2], folder=file.parent,
            expect=Expect(**{key: _tuples(value) for key, value in expect.items()}),
            **{key: _tuples(value) for key, value in table.items()},
        )
    except (TypeError, ValueError) as error:
        raise BadCase("%s: %s" % (file, error)) from error
    if made.scene not in SCENES:
        raise BadCase("%s: scene %r is unknown; there are %s" % (file, made.scene, ", ".join(SCENES)))
    return made


def find(root: pathlib.Path, languages: list[str], only: list[str], quick: bool) -> list[Case]:
    """The cases that were asked for, in the order of languages and names. Raises BadCase where a name fits none."""
    every = [load(file) for file in sorted(root.glob("*/*/case.toml"))]
    every.sort(key=lambda case: (LANGUAGES.index(case.language), case.name))
    for name in only:
        if not any(_fits(case, name) for case in every):
            raise BadCase("ONLY=%s fits no case; there are %s" % (name, ", ".join(case.key for case in every)))
    return [
        case for case in every
        if (not languages or case.language in languages)
        and (not only or any(_fits(case, name) for name in only))
        and (not quick or case.quick)
    ]


def _fits(case: Case, name: str) -> bool:
    return name in (case.name, case.key) or (name.endswith("*") and case.name.startswith(name[:-1]))
