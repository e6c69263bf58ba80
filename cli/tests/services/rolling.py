"""A service for rolling restarts: on TERM readiness turns red, it serves on until balancers saw that, then drains. PORT [lossy]

With `lossy` it drains nothing: it dies at once.
"""
import sys
import threading
import time

from tiny import Server, leave

server = Server(int(sys.argv[1]), delay=0.005)


def stop():
    server.ready = False
    if sys.argv[2:] == ["lossy"]:
        leave(0)
    server.closing = True
    time.sleep(0.8)
    server.close_listener()
    server.wait_for_connections(0.2)
    leave(0)


server.on_term(lambda: threading.Thread(target=stop).start())
server.run()
