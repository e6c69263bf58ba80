"""Installs one wheel on every CPython found here, and runs the test suite on each.

    python every_python.py --wheel graceshut-…-abi3-….whl --folder target/pythons [--fast]

Looks in pyenv's folder and on PATH. A supported version that is not there is named and skipped. ``--fast``: the oldest and the
newest besides the one that runs this, which has run everything, and only what differs between versions.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

SUPPORTED = ["3.9", "3.10", "3.11", "3.12", "3.13", "3.14"]
HERE = pathlib.Path(__file__).resolve().parent
TESTS = HERE.parent / "tests"
#: Where CPython's versions differ: finalisation, fork, signals, loops, subinterpreters.
FAST = ["test_import.py", "test_signals.py", "test_in_charge.py", "test_host_end.py", "test_fork.py", "test_phases.py", "test_kept_signals.py"]
#: Waits for core's look every 5 s, which no version of CPython changes.
NOT_FAST = ["-k", "not other_native_code"]
#: The checkers of types are installed beside the main interpreter only.
NOT_ELSEWHERE = TESTS / "test_typing.py"
LOOPS = ["trio", "anyio", "uvloop"]
ASK = "import sys, sysconfig; v = sys.version_info; print(sys.implementation.name, '%d.%d.%d' % v[:3], sysconfig.get_config_var('Py_GIL_DISABLED') or 0, v[3])"


def found() -> dict[str, pathlib.Path]:
    """The newest interpreter of each minor version; a free-threaded one under "3.Nt"."""
    roots = [pathlib.Path(os.environ.get("PYENV_ROOT", pathlib.Path.home() / ".pyenv")) / "versions"]
    candidates = [p for root in roots for p in sorted(root.glob("*/bin/python3"))]
    for version in SUPPORTED:
        for name in (f"python{version}", f"python{version}t"):
            candidates += [pathlib.Path(folder) / name for folder in os.environ.get("PATH", "").split(os.pathsep) if folder]
    best: dict[str, tuple[tuple[int, ...], pathlib.Path]] = {}
    for path in candidates:
        if not os.access(path, os.X_OK) or "shims" in path.parts:
            continue
        asked = subprocess.run([path, "-c", ASK], capture_output=True, text=True)
        if asked.returncode != 0:
            continue
        implementation, version, free, level = asked.stdout.split()
        number = tuple(map(int, version.split(".")))
        if implementation != "cpython" or number < (3, 9):
            continue
        key = f"3.{number[1]}" + ("t" if free == "1" else "")
        if key not in best or number > best[key][0]:
            best[key] = (number, path)
    return {key: best[key][1] for key in sorted(best, key=lambda k: best[k][0])}


def environment(python: pathlib.Path, folder: pathlib.Path, wheel: pathlib.Path) -> pathlib.Path | None:
    own = folder / "bin" / "python"
    if not (folder / "ready").exists():
        shutil.rmtree(folder, ignore_errors=True)
        if subprocess.run([python, "-m", "venv", folder], capture_output=True).returncode != 0:
            return None
        pip = [own, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        subprocess.run([*pip, "pytest"], check=True)
        subprocess.run([*pip, "--only-binary", ":all:", *LOOPS], check=True)
        (folder / "ready").touch()
    install = [own, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--force-reinstall", "--no-deps", wheel]
    subprocess.run(install, check=True)
    return own


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--wheel", type=pathlib.Path, required=True)
    parser.add_argument("--folder", type=pathlib.Path, required=True)
    parser.add_argument("--fast", action="store_true")
    parser.add_argument("--only", help="one version, as in 3.12")
    asked = parser.parse_args()
    pythons = found()
    missing = [version for version in SUPPORTED if version not in pythons]
    if missing:
        print("not on this machine, so not tested:", ", ".join(f"CPython {v}" for v in missing))
    if not any(version.endswith("t") for version in pythons):
        print("no free-threaded CPython on this machine: nothing is claimed for one")
    if asked.only:
        pythons = {asked.only: pythons[asked.only]}
    elif asked.fast:
        others = [v for v in pythons if v != "3.%d" % sys.version_info[1] and not v.endswith("t")]
        pythons = {v: pythons[v] for v in others[:1] + others[1:][-1:]}
        if not pythons:
            print("no other CPython on this machine: one wheel for all of them is not shown")
    which = [TESTS / name for name in FAST] + NOT_FAST if asked.fast else [TESTS, "--ignore", NOT_ELSEWHERE]
    results, failed = [], False
    for version, path in pythons.items():
        if version.endswith("t"):
            print(f"{version}: free-threaded; the abi3 wheel is not for it")
            continue
        own = environment(path, asked.folder.absolute() / version, asked.wheel.absolute())
        if own is None:
            results.append((version, "skipped: it has no venv module"))
            continue
        began = time.monotonic()
        run = subprocess.run(
            [own, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", TESTS, *which], stdout=subprocess.PIPE, text=True
        )
        last = run.stdout.strip().splitlines()[-1] if run.stdout.strip() else "no output"
        if run.returncode != 0:
            failed = True
            print(run.stdout)
        real = re.sub(r"^Python ", "", subprocess.run([own, "-V"], stdout=subprocess.PIPE, text=True).stdout.strip())
        results.append((real, f"{last} [{time.monotonic() - began:.0f} s]"))
        print(f"CPython {real}: {last}", flush=True)
    print(f"\n{asked.wheel.name}, {asked.wheel.stat().st_size / 1e6:.2f} MB")
    for version, words in results:
        print(f"  CPython {version:8} {words}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
