"""Every snippet of README.md is a file of examples/python, and runs."""

import pathlib
import re
import signal
import subprocess
import sys


HERE = pathlib.Path(__file__).resolve().parent.parent
EXAMPLES = HERE.parent / "examples" / "python"
#: These run under `make test-kafka`.
KAFKA = HERE.parent / "examples" / "kafka" / "python"


def test_the_readme_quotes_files():
    snippets = re.findall(r"```python\n(.*?)```", (HERE / "README.md").read_text(), re.S)
    files = [p.read_text() for folder in (EXAMPLES, KAFKA) for p in folder.glob("*.py")]
    assert snippets
    for snippet in snippets:
        assert any(snippet.strip() in text for text in files), snippet


def run(child, name, signo=signal.SIGTERM, ready='print("ready")'):
    # A Ctrl-C is for who waits: anywhere before it is a KeyboardInterrupt there.
    c = child((EXAMPLES / name).read_text().replace('print("ready")', ready))
    c.ready().kill(signo).end()
    return c


def test_aio(child):
    c = run(child, "aio.py")
    assert c.rc == 0 and sorted(c.lines[1:]) == ["consumers stop, because of SIGTERM", "job done"], c.words()
    assert c.report["outcome"] == "clean"


def test_trio_app(child):
    for signo, rc in ((signal.SIGTERM, 0), (signal.SIGINT, -signal.SIGINT)):
        c = run(child, "trio_app.py", signo, "ready_once_waiting()")
        assert c.rc == rc and c.lines[1:] == ["written, in the program's own trio run"], c.words()


def test_in_flight(child):
    c = run(child, "in_flight.py")
    assert c.rc == 0 and c.lines == ["status 200", "ready", "a.bin uploaded", "status 503"], c.words()


def test_prefork(child):
    c = child((EXAMPLES / "prefork.py").read_text())
    c.ready().read_until("worker ready")
    c.kill().end()
    # Two processes: who writes first is not decided.
    wanted = ["flush in the master", "flush in the worker", "master leaves the registry"]
    assert c.rc == 0 and sorted(c.lines[2:]) == wanted, c.words()


def test_the_test_example(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "/dev/null", str(EXAMPLES / "test_shutdown.py")],
        capture_output=True, text=True, timeout=60, cwd=tmp_path,
    )
    assert done.returncode == 0 and "1 passed" in done.stdout, done.stdout


def test_reload(child):
    c = child((EXAMPLES / "reload.py").read_text())
    c.ready().kill(signal.SIGHUP).read_until("configuration read again")
    c.kill().end()
    assert c.rc == 0 and "event: buffers ok" in c.lines, c.words()
    assert "graceshut: flush/buffers: almost done" in c.err and "graceshut: trigger" in c.err


def test_quickstart(child):
    c = child((EXAMPLES / "quickstart.py").read_text().replace('print("ready: press Ctrl-C")', "ready_once_waiting()"))
    c.ready().kill(signal.SIGINT).end()
    assert c.rc == -signal.SIGINT, c.words()
    assert c.lines[1].startswith("no new work; ") and c.lines[2] == "buffers written"


def test_service(child):
    import http.client
    import socket

    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    c = child((EXAMPLES / "service.py").read_text(), {"PORT": str(port)})
    c.ready()
    kept = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    for method, body in (("GET", None), ("POST", b"{}")):
        kept.request(method, "/work", body)
        answer = kept.getresponse()
        assert answer.status == 200 and answer.read() == b"done\n" and answer.getheader("Connection") is None
    c.kill().read_until("trace announce/deregister")
    c.end()
    traces = [line for line in c.lines if line.startswith("trace")]
    # Events are told by a thread of their own, beside the hooks.
    traces.remove("trace drain/server")
    traces[1:3] = sorted(traces[1:3])  # the two of flush run side by side
    assert c.rc == 0 and traces == [
        "trace announce/deregister", "trace flush/buffers", "trace flush/offsets",
        "trace close/files", "trace close/pool", "trace final/telemetry after SIGTERM",
    ], c.words()
    assert set(c.outcomes().values()) == {"ok"}
