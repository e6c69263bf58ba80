#!/usr/bin/env python3
"""Runs the suite of hosts: `make test-hosts` installs what it needs and calls it.

Each case is a small program with a real server, tool or library, run without graceshut and with it. It passes when the run
with graceshut is not worse than the one without, and does what the case expects. Exit status 0 when every case passed.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import shutil
import subprocess
import sys

from suite import cases, scenes, table, verdict
from suite.where import Where

#: A server takes a connection for idle on which nothing came for 150 ms (spec 9.4).
TOO_LATE = 0.1
HERE = pathlib.Path(__file__).resolve().parent


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--home", type=pathlib.Path, required=True, help="where the packages are installed: target/hosts")
    parser.add_argument("--node", type=pathlib.Path, required=True, help="where Node's packages are: target/hosts/node")
    parser.add_argument("--stage", type=pathlib.Path, required=True, help="the C library's prefix: target/stage")
    parser.add_argument("--only", default="", help="cases, by name or language/name, with commas; a trailing * is allowed")
    parser.add_argument("--languages", default="", help="with commas")
    parser.add_argument("--runs", type=int, default=0, help="runs with graceshut; without it there are half as many, at least one")
    parser.add_argument("--quick", action="store_true", help="the cases marked so: about two minutes")
    parser.add_argument("--ports", default="28000-28499", help="loopback ports to use")
    parser.add_argument("--page", type=pathlib.Path, help="a page whose table is written anew")
    parser.add_argument("--verbose", action="store_true", help="the words of programs that passed as well")
    return parser.parse_args()


def build(case: cases.Case, runner: scenes.Runner) -> str:
    """Runs the case's build commands; returns what went wrong."""
    folder = runner.target / case.language / case.name
    (folder / "built").mkdir(parents=True, exist_ok=True)
    env = runner.env(case, folder / "with", 0, True)
    for command in case.build:
        argv = [runner.word(word, folder / "with", 0, env) for word in command]
        argv[0] = runner.where.program(case.language, argv[0])
        made = subprocess.run(argv, cwd=runner.place(case), env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600)
        if made.returncode:
            return "%s: %s" % (" ".join(argv), made.stdout[-2000:])
    return ""


def run(case: cases.Case, runner: scenes.Runner, runs: int) -> table.Row:
    versions = ", ".join("%s %s" % (one.partition("=")[0], runner.where.version(case.language, one)) for one in case.versions)
    wrong = build(case, runner)
    if wrong:
        result = scenes.Result(broken=wrong)
        return table.Row(case, versions, [result], [result], ["could not be built: " + wrong])
    without = [] if case.no_without else [runner.run(case, False) for _ in range(max(1, runs // 2))]
    with_it = [played(case, runner) for _ in range(runs or case.runs)]
    return table.Row(case, versions, without, with_it, verdict.faults(case, without, with_it))


def played(case: cases.Case, runner: scenes.Runner) -> scenes.Result:
    """One run with graceshut; once more where a machine under load made the clients late and something was lost."""
    result = runner.run(case, True)
    if result.lost > case.expect.lost and result.late > TOO_LATE:
        print("%s: lost %d, but the clients were %.1f s late; once more" % (case.key, result.lost, result.late), flush=True)
        result = runner.run(case, True)
    return result


def main() -> int:
    options = arguments()
    wanted = [[one for one in text.split(",") if one] for text in (options.languages, options.only)]
    try:
        chosen = cases.find(HERE / "cases", *wanted, options.quick)
        every = cases.find(HERE / "cases", [], [], False)
    except cases.BadCase as error:
        print(error, file=sys.stderr)
        return 2
    first, _, last = options.ports.partition("-")
    runner = scenes.Runner(Where(options.home, options.node, options.stage), HERE / "cases", options.home.resolve() / "runs", range(int(first), int(last) + 1))
    print(table.HEAD, flush=True)
    rows: list[table.Row] = []
    left_out: list[str] = []
    for case in chosen:
        lacks = [word for word in (*case.needs, *(["redis-server"] if case.redis else [])) if shutil.which(word) is None]
        if lacks:
            left_out.append(case.key)
            print("%s is left out: %s is not on this machine" % (case.key, ", ".join(lacks)), flush=True)
            continue
        row = run(case, runner, options.runs)
        rows.append(row)
        print(table.line(row), flush=True)
        for fault in row.faults:
            print("          %s" % fault)
        if row.faults or options.verbose:
            for name, results in (("without", row.without), ("with", row.with_it)):
                for one in results[-1:]:
                    if one.words:
                        print("      %s:\n%s" % (name, one.words), flush=True)
    file = options.home.parent / "hosts.json"
    table.write_json(rows, file)
    if options.page:
        table.update(options.page, file, [case.key for case in every])
    failed = [row for row in rows if row.faults]
    print("%d passed, %d failed%s" % (len(rows) - len(failed), len(failed), ": " + ", ".join(row.case.key for row in failed) if failed else ""))
    if left_out:
        print("left out: " + ", ".join(left_out))
    return 1 if failed or left_out and os.environ.get("CI") == "true" else 0


if __name__ == "__main__":
    sys.exit(main())
