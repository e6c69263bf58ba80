import sys
import threading
import time

import graceshut

gs = graceshut.install(grace=10)
uploads = gs.group("uploads")


def upload(name):
    with uploads.track():
        time.sleep(0.3)
        print(name, "uploaded")


def handle(request):
    try:
        with gs.track():
            return 200
    except graceshut.Draining:
        return 503  # and close the connection


@gs.hook("flush")
def refused():
    print("status", handle("late"))


gs.inflight_hook("drain", "uploads", timeout=5)
threading.Thread(target=upload, args=("a.bin",), daemon=True).start()
print("status", handle("early"))
print("ready")
sys.exit(gs.wait())
