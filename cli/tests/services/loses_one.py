"""Serves well, but hangs up on every 5,000th request without an answer. PORT"""
import sys
import threading

from tiny import Server


class Careless(Server):
    def serve(self, connection, number):
        if number % 5000 == 0:
            return False
        return super().serve(connection, number)


server = Careless(int(sys.argv[1]), delay=0)
server.on_term(lambda: threading.Thread(target=server.drain_by_listener).start())
server.run()
