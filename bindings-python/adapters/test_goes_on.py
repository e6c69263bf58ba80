"""What a program does after its server has returned is its own stop, which the adapter does not cut (spec 6.6)."""

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest
from conftest import SERVICES, free_port

LIMIT = 30


def wait_until_ready(port, process):
    until = time.monotonic() + LIMIT
    while True:
        try:
            with urllib.request.urlopen("http://127.0.0.1:%d/readyz" % port, timeout=5) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, ConnectionError):
            pass
        assert process.poll() is None and time.monotonic() < until
        time.sleep(0.02)


RUNS = ["graceshut.aiohttp", "graceshut.hypercorn"]
BOTH = [(kind, signo) for kind in ["hypercorn", *RUNS] for signo in (signal.SIGTERM, signal.SIGINT)]


# uvicorn raises TERM again when it has stopped, with the default action in place: it would not go on without graceshut either.
@pytest.mark.parametrize("kind, signo", [*BOTH, ("uvicorn", signal.SIGINT), ("graceshut.uvicorn", signal.SIGINT)])
def test_what_follows_the_server_runs_to_its_end(kind, signo):
    port = free_port()
    env = {**os.environ, "GRACESHUT_REPORT": "none", "GRACESHUT_GRACE": "10s", "PYTHONPATH": str(SERVICES)}
    command = [sys.executable, str(SERVICES / "goes_on.py"), kind, str(port)]
    with subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True) as process:
        try:
            wait_until_ready(port, process)
            process.send_signal(signo)
            _, words = process.communicate(timeout=LIMIT)
        finally:
            process.kill()
    traces = [line for line in words.splitlines() if line.startswith("trace ")]
    assert traces[-2:] == ["trace database closed", "trace finally"], words
    assert process.returncode == 0, words
