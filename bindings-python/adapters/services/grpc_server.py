"""gRPC without generated code: `/test.Test/Work` takes the seconds it is sent; `grpc_server.py sync|aio PORT`."""

import asyncio
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import grpc

import graceshut.grpc
import hooks

KIND, PORT = sys.argv[1], sys.argv[2]


def work(request, context):
    time.sleep(float(request))
    return b"done"


async def work_aio(request, context):
    await asyncio.sleep(float(request))
    return b"done"


def handlers(behavior):
    return (grpc.method_handlers_generic_handler("test.Test", {"Work": grpc.unary_unary_rpc_method_handler(behavior)}),)


async def main():
    server = grpc.aio.server(handlers=handlers(work_aio))
    server.add_insecure_port("127.0.0.1:" + PORT)
    await server.start()
    graceshut.grpc.follow(server)
    os.write(1, b"ready\n")
    await server.wait_for_termination()
    await hooks.gs.stopped.wait()


if KIND == "aio":
    asyncio.run(main())
else:
    server = grpc.server(ThreadPoolExecutor(8), handlers=handlers(work))
    server.add_insecure_port("127.0.0.1:" + PORT)
    server.start()
    graceshut.grpc.follow(server)
    os.write(1, b"ready\n")
sys.exit(hooks.gs.wait())
