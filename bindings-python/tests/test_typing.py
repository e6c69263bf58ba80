"""mypy --strict and pyright over the package and over typing/use.py, against the installed wheel.

A test of the development environment: on the other interpreters packaging/every_python.py leaves this file out."""

import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
SOURCE = HERE.parent / "python" / "graceshut"


def check(tmp_path, *command):
    env = {**os.environ, "PATH": os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"]}
    done = subprocess.run(
        [sys.executable, "-m", *map(str, command)], capture_output=True, text=True, timeout=300, cwd=tmp_path, env=env
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_mypy_on_a_program(tmp_path):
    check(tmp_path, "mypy", "--strict", "--warn-unused-ignores", HERE / "typing" / "use.py")


def test_mypy_on_the_package(tmp_path):
    # _errors.py is made from core's table at import; _errors.pyi stands for it.
    own = sorted(p for p in SOURCE.glob("*.py") if p.name.startswith("_") and p.name != "_errors.py")
    assert len(own) >= 7
    # With its list of packages that have no types.
    check(tmp_path, "mypy", "--strict", "--config-file", HERE.parent / "pyproject.toml", *own)


def test_pyright_on_a_program(tmp_path):
    check(tmp_path, "pyright", "-p", HERE / "typing")


def test_pyright_knows_every_type(tmp_path):
    said = check(tmp_path, "pyright", "--verifytypes", "graceshut", "--ignoreexternal")
    assert "Type completeness score: 100%" in said, said


def test_every_public_thing_says_what_it_is():
    import graceshut

    for name in graceshut.__all__:
        thing = getattr(graceshut, name)
        if not isinstance(thing, str):
            assert (thing.__doc__ or "").strip(), name
            members = vars(thing).items() if isinstance(thing, type) else ()
            missing = [m for m, f in members if not m.startswith("_") and callable(f) and not (getattr(f, "__doc__", "") or "").strip()]
            assert not missing, (name, missing)
    assert sorted(graceshut.__all__) == sorted(set(graceshut.__all__))
