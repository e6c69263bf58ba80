"""Misbehaves with one request exactly, and is flawless otherwise. PORT MODE"""
import os
import signal
import socket
import struct
import sys
import threading
import time

from tiny import Server

AT = 5  # the number of the request that is treated badly
mode = sys.argv[2]


class Scripted(Server):
    def serve(self, connection, number):
        if mode == "chunked":
            close = self.closing
            connection.sendall(self.head(200, "Transfer-Encoding: chunked", close) + b"4;x=y\r\nsome\r\n")
            time.sleep(0.01)
            connection.sendall(b"5\r\nthing\r\n0\r\nX-Trailer: 1\r\n\r\n")
            return not close
        if mode == "silent-close":
            self.answer(connection, 200)
            return False
        if number != AT:
            return super().serve(connection, number)
        if mode == "cut-body":
            connection.sendall(self.head(200, "Content-Length: 9") + b"some")
            return False
        if mode == "reset-body":
            connection.sendall(self.head(200, "Content-Length: 9") + b"some")
            # The client must have read it: a reset throws away what it has not.
            time.sleep(0.2)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return False
        if mode == "no-answer":
            return False
        if mode == "unread":
            self.answer(connection, 200)
            connection.recv(1, socket.MSG_PEEK)
            return False
        if mode == "stall":
            threading.Event().wait()
        if mode == "error":
            self.answer(connection, 500)
            return True
        if mode == "garbage":
            connection.sendall(b"HTTP/1.1 200 X\r\nContent-Length: many\r\n\r\n")
            return True
        if mode == "die":
            os._exit(7)
        raise ValueError(mode)


server = Scripted(int(sys.argv[1]), delay=0.005)
if mode == "stall":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
else:
    server.on_term(server.drain_by_listener)
server.run()
