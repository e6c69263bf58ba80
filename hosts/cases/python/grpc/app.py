import os
import signal
import sys
import time
from concurrent import futures

import grpc


def slow(request, context):
    time.sleep(1)
    return b""


server = grpc.server(futures.ThreadPoolExecutor(20))
methods = {"Slow": grpc.unary_unary_rpc_method_handler(slow)}
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("case.Case", methods),))
server.add_insecure_port("127.0.0.1:%s" % os.environ["PORT"])
if os.environ.get("WITH"):
    import graceshut

    gs = graceshut.install(grace=8)
    gs.hook("drain", lambda ctx: server.stop(ctx.remaining - 0.5).wait(), name="grpc")
    gs.hook("flush", lambda: print("hook flush"), name="flush")
else:
    signal.signal(signal.SIGTERM, lambda *_: server.stop(5))
server.start()
print("ready\n", end="", flush=True)
if os.environ.get("WITH"):
    sys.exit(gs.wait())
server.wait_for_termination()
