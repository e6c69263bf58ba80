import os
import sys
import time

if os.environ.get("WITH"):
    import graceshut

    gs = graceshut.install(grace=8)
    gs.hook("flush", lambda: print("hook flush"), name="flush")
    print("ready")
    sys.exit(gs.wait())
print("ready")
time.sleep(60)
