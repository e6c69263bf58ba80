"""What every Python consumer of the suite does with a batch: one bulk request; a message that says so blocks for 3 s."""

import json
import os
import time
import urllib.request


def bulk(values, blocks=True):
    if blocks and any(b'"block"' in value for value in values):
        print("BLOCK", flush=True)
        time.sleep(3)
    lines = b"".join(b'{"index":{"_id":"%d"}}\n%s\n' % (json.loads(value)["id"], value) for value in values)
    asked = urllib.request.Request(os.environ["SINK"] + "/_bulk", lines, {"Content-Type": "application/x-ndjson"})
    with urllib.request.urlopen(asked, timeout=60) as answer:
        if json.load(answer)["errors"]:
            raise OSError("the store did not take it all")
