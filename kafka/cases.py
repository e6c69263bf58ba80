"""What happens in each case. Each takes a trial that is under way, and leaves the counting to ``Trial.finish``."""

from __future__ import annotations

import random
import threading
import time

from instance import Instance
from trial import Trial

STOPS = 4
HOLD = 20.0
BROKER_STOPS_FOR = 13.0
WAIT = 30.0


def wait_until(what, words: str, limit: float = WAIT) -> None:
    until = time.monotonic() + limit
    while not what():
        if time.monotonic() > until:
            raise RuntimeError("not within %d s: %s" % (limit, words))
        time.sleep(0.02)


def wrote(trial: Trial, one: Instance) -> None:
    """Waits for its next successful write: its buffer begins to fill anew."""
    before = trial.sink.taken.get(one.name, 0)
    wait_until(lambda: trial.sink.taken.get(one.name, 0) > before, "nothing was written")


def rolling(trial: Trial) -> None:
    """Four restarts: a new one is there before the old one goes, at any point of its buffer."""
    old, other = trial.pair()
    for _ in range(STOPS):
        new = trial.start(ready=False).wait_for("ready")
        trial.settled({old.name, other.name, new.name})
        time.sleep(random.uniform(0.5, 3.0))
        stop = trial.term(old)
        next(i for i in trial.instances if i.stop is stop).join()
        trial.watchers[-1].join()
        old, other = other, new


def stuck(trial: Trial) -> None:
    """SIGTERM while a bulk request of this one is stuck for 20 s."""
    one, _ = trial.pair()
    wrote(trial, one)
    trial.sink.hold(one.name, HOLD)
    wait_until(lambda: one.name in trial.sink.holding, "no request of %s" % one.name)
    time.sleep(0.5)
    trial.term(one)


def broker_stopped(trial: Trial, stopped: threading.Event) -> None:
    """SIGTERM 2 s after the broker stood still; the caller stops and continues it, for all trials at once."""
    stopped.wait(WAIT)
    time.sleep(2)
    trial.term(trial.instances[0])


def rebalance(trial: Trial) -> None:
    """SIGTERM the moment that a third one begins to join."""
    one, other = trial.pair()
    wrote(trial, one)
    time.sleep(random.uniform(0.5, 2.0))
    third = trial.start(ready=False)
    both = {one.name, other.name}

    def under_way() -> bool:
        state, members = trial.broker.members(trial.group)
        return state != "STABLE" or set(members) != both

    wait_until(under_way, "no rebalance", 60)
    trial.term(one)
    third.wait_for("ready")


def block(trial: Trial) -> None:
    """SIGTERM half a second into a handler that blocks for 3 s."""
    one, other = trial.pair()
    wrote(trial, one)
    mine = trial.settled({one.name, other.name})[one.name]
    trial.producer.send(min(mine), block=True)
    one.wait_for("BLOCK")
    time.sleep(0.5)
    trial.term(one)


def store_down(trial: Trial) -> None:
    """SIGTERM with a buffer that the store does not take: 503."""
    one, other = trial.pair()
    wrote(trial, one)
    time.sleep(0.7)
    trial.sink.down = True
    time.sleep(0.3)
    stop = trial.term(one)
    next(i for i in trial.instances if i.stop is stop).join()
    # The other one may have ended of its own error by now.
    stop.alone = other.name in trial.sink.refused
    trial.sink.down = False
    if stop.alone:
        trial.start(ready=False)


CASES = {"rolling": rolling, "stuck": stuck, "rebalance": rebalance, "block": block, "store": store_down}
ALL = [*CASES, "broker"]
__all__ = ["ALL", "BROKER_STOPS_FOR", "CASES", "Instance", "broker_stopped"]
