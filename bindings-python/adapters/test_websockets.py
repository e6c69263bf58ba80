"""Open websockets are told before they are closed, with 1012, one after the other."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time

import pytest
from conftest import SERVICES, free_port, program

SERVERS = {
    "uvicorn": ["uvicorn", "--log-level", "error", "--port", "{port}", "websocket_app:app"],
    "hypercorn": ["hypercorn", "-w", "0", "-b", "127.0.0.1:{port}", "websocket_app:app"],
}
OPEN = 20


async def clients(port: int, process: subprocess.Popen) -> list[tuple[float, int]]:
    import websockets

    url = "ws://127.0.0.1:%d/" % port
    until = time.monotonic() + 15
    while True:
        try:
            first = await websockets.connect(url)
            break
        except OSError:
            assert time.monotonic() < until and process.poll() is None
            await asyncio.sleep(0.05)
    opened = [first, *[await websockets.connect(url) for _ in range(OPEN - 1)]]
    for one in opened:
        await one.send("hello")
        assert await asyncio.wait_for(one.recv(), 5) == "hello"
    process.send_signal(signal.SIGTERM)
    began = time.monotonic()

    async def closed(one) -> tuple[float, int]:
        try:
            while True:
                await asyncio.wait_for(one.recv(), 10)
        except websockets.ConnectionClosed as error:
            return time.monotonic() - began, error.rcvd.code if error.rcvd else 1006

    return await asyncio.gather(*map(closed, opened))


@pytest.mark.parametrize("server", SERVERS)
def test_websockets_are_told_one_after_the_other(server, tmp_path):
    port, log = free_port(), tmp_path / "log"
    command = [word.format(port=port) for word in SERVERS[server]]
    env = {**os.environ, "GRACESHUT_REPORT": "none", "PYTHONPATH": str(SERVICES)}
    with log.open("wb") as out:
        process = subprocess.Popen([program(command[0]), *command[1:]], cwd=SERVICES, env=env, stdout=out, stderr=out)
    try:
        ends = asyncio.run(clients(port, process))
        status = process.wait(15)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(5)
    words = log.read_text()
    assert status == 0, words
    assert [code for _, code in ends] == [1012] * OPEN, (ends, words)
    times = sorted(at for at, _ in ends)
    # 20 ms apart each: not all at once, and not slower than that either.
    assert 0.3 < times[-1] - times[0] < 3, times
    assert words.count("trace app told") == OPEN and words.count("trace app closed") == OPEN, words
    assert words.rindex("trace app told") < words.index("trace flush")
