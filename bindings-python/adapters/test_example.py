"""examples/python/fastapi_service.py leaves as service.py does."""

from __future__ import annotations

from conftest import SOURCE, Verified, free_port


def test_fastapi_service(tmp_path):
    port = free_port()
    url = "http://127.0.0.1:%d" % port
    command = ["python", str(SOURCE.parent / "examples" / "python" / "fastapi_service.py")]
    options = ["--after", "500ms", "--ready", url + "/readyz", "--load", url + "/work"]
    run = Verified(tmp_path / "run", command, *options, env={"PORT": str(port)})
    assert run.status == 0 and run.lost == 0, run.words
    # The line of the adapter's hook comes from an event, told on a thread of its own: the hooks of the next phase may be ahead of it.
    traces = run.traces
    assert "drain/server" in traces, run.words
    traces.remove("drain/server")
    traces[1:3] = sorted(traces[1:3])  # the two of flush run side by side
    assert traces == [
        "announce/deregister", "flush/buffers", "flush/offsets",
        "close/files", "close/pool", "final/telemetry after SIGTERM",
    ], run.words
    assert {h["outcome"] for p in run.reports[0]["phases"] for h in p["hooks"]} == {"ok"}
