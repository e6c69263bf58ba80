import time


def job(number):
    print("begun", number, flush=True)
    print("ready\n", end="", flush=True)
    time.sleep(2)
    print("done", number, flush=True)
