"""HTTP servers under keep-alive load: no request is lost, with an announce delay before and without."""

from __future__ import annotations

import pytest
from cases import CASES
from conftest import Verified, free_port, versions

DELAY = "600ms"


def run(folder, command, delay=None, ready=True):
    port = free_port()
    url = "http://127.0.0.1:%d" % port
    options = ["--after", "800ms", "--load", url + "/", *(["--ready", url + "/readyz"] if ready else [])]
    env = {"GRACESHUT_ANNOUNCE_DELAY": delay} if delay else {}
    return Verified(folder, [word.format(port=port) for word in command], *options, env=env)


def note(row, case, runs, bare):
    row(
        {
            "name": case.name, "version": versions(case.packages), "line": case.line, "signals": "kept", "hooks": "run",
            "lost_without": bare.lost if bare else None, "lost": sum(one.lost for one in runs), "unit": "requests",
            "answered": runs[0].verdict["requests"]["answered"], "exit": runs[0].exit_words,
        }
    )


@pytest.mark.parametrize("case", [case for case in CASES if case.quick], ids=lambda case: case.name)
def test_another_http_server(case, tmp_path, row):
    at_once = run(tmp_path / "at-once", case.command, "0s")
    at_once.check_plan(case.processes)
    requests = at_once.verdict["requests"]
    assert at_once.lost == 0
    assert requests["refused_503"] > 0 and requests["errors_5xx_after_signal"] == 0, at_once.words
    note(row, case, [at_once], run(tmp_path / "bare", case.bare, ready=False) if case.bare else None)


@pytest.mark.parametrize("case", [case for case in CASES if not case.quick], ids=lambda case: case.name)
def test_http_server(case, tmp_path, row):
    served = run(tmp_path / "served", case.command, DELAY)
    served.check_plan(case.processes)
    assert served.lost == 0
    times, requests = served.verdict["timing_us"], served.verdict["requests"]
    # Red with the signal, long before new work is refused; served on meanwhile; refused in words.
    # (It is asked every 20 ms by a machine that does much else: half a second of slack. uvicorn's parent of workers looks at its
    # signals every half second.)
    assert times["readiness_red"] < (500_000 if case.processes == 1 else 1_000_000), served.words
    assert times["last_answer"] > 550_000 and times["exit"] > 600_000, served.words
    assert requests["refused_503"] > 0 and requests["errors_5xx_after_signal"] == 0, served.words
    if case.lifespan:
        assert served.traces.count("lifespan") == case.processes
        # The app's own end comes in `close`, before the hooks registered earlier there.
        names = [one for one in served.traces if one in ("flush", "lifespan", "close", "final")]
        assert names.index("flush") < names.index("lifespan") < names.index("close") < names.index("final"), served.traces
    at_once = run(tmp_path / "at-once", case.command, "0s")
    at_once.check_plan(case.processes)
    assert at_once.lost == 0
    note(row, case, [served, at_once], run(tmp_path / "bare", case.bare, ready=False) if case.bare else None)
