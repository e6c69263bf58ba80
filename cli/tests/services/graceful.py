"""Serves on for a while after TERM with readiness red, then answers 503, then closes: nothing is lost.

PORT SERVED_FILE: how many requests it answered 200 is left in the file.
"""
import sys
import threading
import time

from tiny import Server, leave

server = Server(int(sys.argv[1]))


def stop():
    server.ready = False
    time.sleep(0.2)
    server.refuse = True
    server.wait_for_connections()
    server.close_listener()
    with open(sys.argv[2], "w") as file:
        file.write(str(server.served))
    leave(0)


server.on_term(lambda: threading.Thread(target=stop).start())
server.run()
