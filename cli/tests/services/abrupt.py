"""Knows nothing of signals: dies at once, with requests in flight. PORT"""
import sys

from tiny import Server

Server(int(sys.argv[1])).run()
