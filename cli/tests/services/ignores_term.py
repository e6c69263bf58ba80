"""Goes on serving, whatever it is told. PORT"""
import sys

from tiny import Server

server = Server(int(sys.argv[1]), delay=0.01)
server.on_term(lambda: print("TERM? what TERM?", flush=True))
server.run()
