"""What the published files hold: run with WHEEL and SDIST naming them (`make -C bindings-python test-packaging`)."""

import email
import os
import pathlib
import re
import subprocess
import sys
import tarfile
import venv
import zipfile

import pytest

HERE = pathlib.Path(__file__).resolve().parent
PACKAGE = HERE.parent / "python" / "graceshut"
WHEEL = pathlib.Path(os.environ["WHEEL"]).absolute()
SDIST = pathlib.Path(os.environ["SDIST"]).absolute()

#: What PEP 599 and 600 allow a manylinux wheel to load; more is never needed here.
LIBRARIES = {"libc.so.6", "libm.so.6", "libdl.so.2", "librt.so.1", "libpthread.so.0", "libgcc_s.so.1", "ld-linux-x86-64.so.2"}
SIZE_LIMIT = 5_000_000  # with WebAssembly hooks, whose engine is most of it


@pytest.fixture(scope="session")
def unpacked(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    with zipfile.ZipFile(WHEEL) as z:
        z.extractall(folder)
    return folder


def info(unpacked):
    return next(unpacked.glob("graceshut-*.dist-info"))


def test_the_wheel_holds_the_package_and_nothing_else(unpacked):
    own = {p.relative_to(PACKAGE).as_posix() for p in PACKAGE.rglob("*") if p.is_file() and "__pycache__" not in p.parts}
    packed = {p.relative_to(unpacked / "graceshut").as_posix() for p in (unpacked / "graceshut").rglob("*") if p.is_file()}
    assert packed == own | {"_graceshut.abi3.so"} and "py.typed" in packed
    assert sorted(p.name for p in unpacked.iterdir()) == ["graceshut", info(unpacked).name]


def test_tags_metadata_and_licences(unpacked):
    tags = [line.split(": ")[1] for line in (info(unpacked) / "WHEEL").read_text().splitlines() if line.startswith("Tag")]
    assert "cp39-abi3-manylinux_2_17_x86_64" in tags and all(t.startswith("cp39-abi3-manylinux") for t in tags), tags
    meta = email.message_from_string((info(unpacked) / "METADATA").read_text())
    assert meta["Name"] == "graceshut" and meta["Requires-Python"] == ">=3.9"
    assert meta["License-Expression"] == "MIT OR Apache-2.0"
    assert "Typing :: Typed" in meta.get_all("Classifier") and meta.get_all("Project-URL")
    assert meta.get_payload().startswith("# graceshut for Python")
    root = HERE.parent.parent
    for name in ("LICENSE-MIT", "LICENSE-APACHE"):
        assert (info(unpacked) / "licenses" / name).read_text() == (root / name).read_text()
    runtime = [r for r in meta.get_all("Requires-Dist") or [] if "extra ==" not in r]
    assert runtime == [], "the package itself needs nothing"


def test_it_loads_on_a_glibc_of_2012(unpacked):
    library = unpacked / "graceshut" / "_graceshut.abi3.so"
    said = subprocess.run(["readelf", "-VdW", library], check=True, capture_output=True, text=True).stdout
    versions = {tuple(map(int, v.split("."))) for v in re.findall(r"GLIBC_([0-9.]+)", said)}
    assert versions and max(versions) <= (2, 17), sorted(versions)
    needed = set(re.findall(r"\(NEEDED\).*\[(.+)\]", said))
    assert needed <= LIBRARIES, needed
    assert "RPATH" not in said and "RUNPATH" not in said


def test_it_uses_the_limited_api_of_3_9_only():
    done = subprocess.run([sys.executable, "-m", "abi3audit", "--strict", "--verbose", WHEEL], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_path_of_the_machine_that_built_it(unpacked):
    home = str(pathlib.Path.home()).encode()
    for path in unpacked.rglob("*"):
        if path.is_file():
            held = path.read_bytes()
            assert home + b"/" not in held and str(HERE.parent.parent).encode() not in held, path


def test_size():
    size = WHEEL.stat().st_size
    print(f"{WHEEL.name}: {size} bytes; {SDIST.name}: {SDIST.stat().st_size} bytes")
    assert size < SIZE_LIMIT


def test_the_sdist_builds_alone(tmp_path):
    """In an empty environment, from the tarball alone; only crates and build tools come from their registries."""
    with tarfile.open(SDIST) as tar:
        names = tar.getnames()
        tar.extractall(tmp_path / "source")
    assert any(n.endswith("/LICENSE-MIT") for n in names) and any(n.endswith("/core/Cargo.toml") for n in names)
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    env = {**os.environ, "CARGO_TARGET_DIR": os.environ.get("SDIST_TARGET", str(tmp_path / "target"))}
    build = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", next((tmp_path / "source").iterdir())]
    done = subprocess.run(build, capture_output=True, text=True, timeout=1500, env=env, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-4000:]
    use = "import graceshut\nwith graceshut.installed(grace=2) as gs:\n    gs.stop(); gs.wait(10); print(gs.report()['outcome'])"
    done = subprocess.run([python, "-c", use], capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert done.stdout == "clean\n", done.stdout + done.stderr
