"""Takes itself apart before its last requests are served: they are answered 500. PORT"""
import sys
import time

from tiny import Server


class LateError(Server):
    def serve(self, connection, number):
        if self.closing:
            self.answer(connection, 500, close=True)
            return False
        return super().serve(connection, number)


server = LateError(int(sys.argv[1]), delay=0.005)
server.on_term(server.drain_by_listener)
server.run()
