"""Is up and never ready. PORT"""
import sys

from tiny import Server

server = Server(int(sys.argv[1]))
server.ready = False
server.run()
