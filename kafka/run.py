"""`make test-kafka`: consumers of every language under SIGTERM, with a real broker. See README.md beside this file."""

from __future__ import annotations

import argparse
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from broker import Broker, kill_all  # noqa: E402
from cases import ALL, BROKER_STOPS_FOR, CASES, broker_stopped, wrote  # noqa: E402
from opensearch import OpenSearch  # noqa: E402
from trial import Kind, Trial  # noqa: E402

#: Times the number of cores: no time-box says anything there.
LOADED = 3
HEAD = ["consumer", "case", "stops", "produced", "lost", "dup", "gone s", "status", "outcome", "reassigned s", "delay s", "verdict"]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--languages", default="", help="python,go: the folders of consumers/ to run; all but baseline by default")
    parser.add_argument("--consumers", default="", help="names of consumers, of those languages")
    parser.add_argument("--only", default="", help="cases: %s" % ",".join(ALL))
    parser.add_argument("--runs", type=int, default=1, help="how often each case is run")
    parser.add_argument("--side", type=int, default=3, help="consumers side by side")
    parser.add_argument("--target", type=pathlib.Path, default=HERE.parent / "target")
    parser.add_argument("--store", choices=["opensearch"], help="a real store behind the sink")
    parser.add_argument("--keep", action="store_true", help="keeps reports and stderr of passed trials too")
    return parser.parse_args()


def listed(words: str) -> list[str]:
    return [one for one in words.replace(" ", ",").split(",") if one]


def kinds_of(options: argparse.Namespace) -> list[Kind]:
    words = {"root": str(HERE.parent), "target": str(options.target), "python": sys.executable}
    known = [Kind.read(file, words) for file in sorted(HERE.glob("consumers/*/*.toml"))]
    languages, names = listed(options.languages), listed(options.consumers)
    for one in languages:
        if one not in {k.language for k in known}:
            sys.exit("no consumer of language %r; there are %s" % (one, sorted({k.language for k in known})))
    chosen = [k for k in known if (k.language in languages if languages else not k.baseline)]
    return [k for k in chosen if not names or k.name in names]


def attempt(make, play) -> Trial:
    """Plays one trial; one more where it was only late, on a machine that has more to do than it can."""
    for last in (False, True):
        trial: Trial = make(last)
        with trial:
            try:
                play(trial)
                trial.finish()
            except Exception as error:  # noqa: BLE001: one trial that fails ends no other
                trial.failed.append("%s: %s" % (type(error).__name__, error))
                if not isinstance(error, RuntimeError):
                    traceback.print_exc()
        tell(trial)
        load = os.getloadavg()[0]
        if trial.failed or not trial.late or last or load < LOADED * (os.cpu_count() or 1):
            break
        print("    only late, at a load of %.0f: once more" % load, flush=True)
    trial.failed += trial.late
    trial.late = []
    return trial


def tell(trial: Trial) -> None:
    print("  " + " | ".join(trial.row()), flush=True)
    if trial.failed or trial.late:
        for stop in trial.stops:
            print("    %s: %s" % (stop.name, "; ".join(stop.hooks)), flush=True)
        print("    files: %s" % trial.folder, flush=True)


def all_with_broker_stopped(makers: list, broker: Broker) -> list[Trial]:
    """The broker is one for all: every consumer is there before it stops."""
    together, stopped = threading.Barrier(len(makers) + 1), threading.Event()

    def play(trial: Trial) -> None:
        try:
            one, _ = trial.pair()
            wrote(trial, one)
        finally:
            together.wait(120)
        broker_stopped(trial, stopped)

    with ThreadPoolExecutor(len(makers)) as pool:
        futures = [pool.submit(attempt, make, play) for make in makers]
        together.wait(120)
        stopped.set()
        broker.stop_for(BROKER_STOPS_FOR)
        return [future.result() for future in futures]


def play_all(options: argparse.Namespace, kinds: list[Kind], broker: Broker, store: OpenSearch | None, folder: pathlib.Path) -> list[Trial]:
    done: list[Trial] = []
    cases = listed(options.only) or ALL
    for unknown in set(cases) - set(ALL):
        sys.exit("no case %r; there are %s" % (unknown, ", ".join(ALL)))
    for run in range(options.runs):
        for case in cases:

            def maker(kind: Kind, case: str = case, run: int = run):
                return lambda again: Trial(kind, case, "%d%s" % (run, "b" * again), broker, folder, store)

            makers = [maker(kind) for kind in kinds if kind.takes(case)]
            if case == "broker" and makers:
                done += all_with_broker_stopped(makers, broker)
                continue
            with ThreadPoolExecutor(options.side) as pool:
                done += pool.map(lambda make, play=CASES.get(case): attempt(make, play), makers)
    return done


def table(trials: list[Trial]) -> str:
    rows = [HEAD, ["---"] * len(HEAD), *(trial.row() for trial in trials)]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def ended(signo: int, frame: object) -> None:
    kill_all()
    os._exit(128 + signo)


def main() -> int:
    options = arguments()
    signal.signal(signal.SIGTERM, ended)
    signal.signal(signal.SIGINT, ended)
    kinds = kinds_of(options)
    for kind in kinds:
        for command in kind.build:
            subprocess.run(command, check=True, cwd=HERE.parent)
    options.target.mkdir(parents=True, exist_ok=True)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="kafka-run-", dir=options.target))
    with ExitStack() as stack:
        broker = stack.enter_context(Broker(options.target / "kafka" / "lib", folder / "broker"))
        store = None
        if options.store is not None:
            store = stack.enter_context(OpenSearch(options.target / "opensearch" / "lib", folder / "store"))
        print("broker at %s; %s" % (broker.address, ", ".join(k.name for k in kinds)), flush=True)
        trials = play_all(options, kinds, broker, store, folder)
    for part in ("broker", "store"):
        shutil.rmtree(folder / part, ignore_errors=True)
    print("\n" + table(trials))
    failed = sum(1 for trial in trials if trial.failed)
    print("\n%d passed, %d failed" % (len(trials) - failed, failed))
    if not failed and not options.keep:
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if failed or not trials else 0


if __name__ == "__main__":
    sys.exit(main())
