"""uWSGI: every process that serves has a plan, and nothing is raised inside a request (KeyboardInterrupt was)."""

from __future__ import annotations

import pytest
from conftest import SOURCE, Verified, free_port, versions
from test_streams import Service

COMMON = ["--threads", "8", "--die-on-term", "--disable-logging", "--listen", "100", "--module"]
MODES = {
    "uWSGI, one process": ([], 1),
    "uWSGI, master": (["--master", "--processes", "2"], 2),
    "uWSGI, master, lazy-apps": (["--master", "--processes", "2", "--lazy-apps"], 2),
}


def after_signal(run):
    """uWSGI's own socket resets some connections at any time, without graceshut too."""
    requests = run.verdict["requests"]
    return requests["lost"] - requests["lost_before_signal"]


def verified(folder, mode, app):
    port = free_port()
    url = "http://127.0.0.1:%d" % port
    command = ["uwsgi", *MODES[mode][0], "--http-socket", "127.0.0.1:%d" % port, *COMMON, app]
    ready = [] if app.startswith("bare") else ["--ready", url + "/readyz"]
    return Verified(folder, command, "--after", "600ms", "--load", url + "/", *ready, env={"GRACESHUT_ANNOUNCE_DELAY": "0s"})


@pytest.mark.parametrize("mode", MODES)
def test_uwsgi(mode, tmp_path, row):
    run, processes = verified(tmp_path / "run", mode, "uwsgi_app"), MODES[mode][1]
    assert after_signal(run) == 0 and run.verdict["requests"]["errors_5xx_after_signal"] == 0, run.words
    assert run.verdict["exit"]["within_grace"] and run.verdict["requests"]["refused_503"] > 0, run.words
    assert len(run.reports) == processes and {r["outcome"] for r in run.reports} == {"clean"}, run.words
    for what in ("announce", "flush", "close", "final"):
        assert run.traces.count(what) == processes, run.words
    assert "raised inside" not in run.words
    bare = verified(tmp_path / "bare", mode, "bare_app:wsgi")
    row(
        {
            "name": mode, "version": versions(["pyuwsgi"]), "line": "`app = graceshut.uwsgi.wrap(app, setup)`", "signals": "kept",
            "hooks": "run", "lost_without": after_signal(bare), "lost": after_signal(run), "unit": "requests",
            "answered": run.verdict["requests"]["answered"], "exit": run.exit_words,
        }
    )


@pytest.mark.parametrize("mode", ["uWSGI, master"])
def test_a_request_in_flight_is_finished(mode, tmp_path):
    run = Service(tmp_path, ["uwsgi", *MODES[mode][0], "--http-socket", "127.0.0.1:{port}", *COMMON, "uwsgi_app"], "/slow")
    assert all(one.endswith(b"done\n") for one in run.answers), run.answers
    assert run.report["outcome"] == "clean" and "raised inside" not in run.words, run.words


def test_the_example_of_the_readme(tmp_path):
    port = free_port()
    url = "http://127.0.0.1:%d" % port
    example = SOURCE.parent / "examples" / "python" / "uwsgi_service.py"
    command = ["uwsgi", "--master", "--http-socket", "127.0.0.1:%d" % port, "--threads", "2", "--die-on-term", "--wsgi-file", str(example)]
    run = Verified(tmp_path / "run", command, "--after", "300ms", "--ready", url + "/readyz")
    assert run.status == 0 and "| buffers written" in run.words and run.reports[0]["outcome"] == "clean", run.words
