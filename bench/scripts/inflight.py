"""Nanoseconds of enter + leave, beside two calls of a PyO3 method that does nothing."""
import json
import timeit

import graceshut

gs = graceshut.install(exit="manual", report="none")
N = 200_000
enter, leave, empty = gs.enter, gs.leave, gs._noop


def ours():
    enter()
    leave()


def peer():
    empty()
    empty()


rounds = {"ours": [], "peer": []}
for _ in range(9):
    rounds["ours"].append(timeit.timeit(ours, number=N) / N * 1e9)
    rounds["peer"].append(timeit.timeit(peer, number=N) / N * 1e9)
gs.uninstall()
print(json.dumps(rounds))
