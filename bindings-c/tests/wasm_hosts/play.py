import ctypes
import sys

library, folder, path = sys.argv[1:]
sys.exit(ctypes.CDLL(library).play(folder.encode(), path.encode()))
