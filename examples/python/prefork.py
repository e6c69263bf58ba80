import os
import sys
import time

import graceshut

gs = graceshut.install(grace=10, after_fork="rearm")


@gs.hook("close")
def deregister():
    print("master leaves the registry")


@gs.hook("flush", fork="inherit")
def flush():
    print("flush in the", "master" if os.getpid() == master else "worker")


master = os.getpid()
worker = os.fork()
if worker == 0:
    print("worker ready")
    time.sleep(60)  # armed: a TERM ends it after its own hooks
gs.signal_hook("drain", "TERM", pid=worker)
print("ready")
code = gs.wait()
os.waitpid(worker, 0)
sys.exit(code)
