"""Five unary calls at once, of about a second each; says `begun` and `done` of each."""

import os
import threading

import grpc

channel = grpc.insecure_channel("127.0.0.1:%s" % os.environ["PORT"])
grpc.channel_ready_future(channel).result(20)
slow = channel.unary_unary("/case.Case/Slow")
answered = threading.Semaphore(0)


def call(number):
    print("begun", number, flush=True)
    future = slow.future(b"", timeout=15)

    def over(future):
        print("done" if future.code() is grpc.StatusCode.OK else "cut %s" % future.code(), number, flush=True)
        answered.release()

    future.add_done_callback(over)


for number in range(5):
    call(number)
threading.Event().wait(0.3)  # until the server has them: a call tells nobody
print("ready\n", end="", flush=True)
for _ in range(5):
    answered.acquire()
