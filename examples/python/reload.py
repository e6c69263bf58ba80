import logging
import sys

import graceshut

logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
gs = graceshut.install(grace=10)


@gs.on_reload
def read_configuration():
    print("configuration read again")


def on_event(event):
    if event["event"] == "hook_end":
        print("event:", event["hook"], event["outcome"])


gs.on_event(on_event)
gs.hook("flush", lambda ctx: ctx.log("almost done"), name="buffers")
print("ready")
sys.exit(gs.wait())
