"""Every snippet of README.md is a file of examples/python, and runs."""

import pathlib
import re
import signal

HERE = pathlib.Path(__file__).resolve().parent.parent
EXAMPLES = HERE.parent / "examples" / "python"


def test_the_readme_quotes_files():
    snippets = re.findall(r"```python\n(.*?)```", (HERE / "README.md").read_text(), re.S)
    files = [p.read_text() for p in EXAMPLES.glob("*.py")]
    assert snippets
    for snippet in snippets:
        assert any(snippet.strip() in text for text in files), snippet


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
    assert c.rc == 0 and [line for line in c.lines if line.startswith("trace")] == [
        "trace announce/deregister", "trace drain/server", "trace flush/offsets", "trace flush/buffers",
        "trace close/files", "trace close/pool", "trace final/telemetry after SIGTERM",
    ], c.words()
    assert set(c.outcomes().values()) == {"ok"}
