"""On each TERM tries to get more of everything and notes what it could not get; leaves on the first, or with `twice` the second.

PORT FILE [twice]: one line a TERM, the names of what was refused.
"""
import sys
import threading

from tiny import Server, leave

server = Server(int(sys.argv[1]), delay=0)
notes = open(sys.argv[2], "w")          # while there are descriptors
scratch = open(sys.argv[2] + ".disk", "wb", buffering=0)
terms = 0


def attempt(name, action):
    try:
        action()
        return ""
    except (OSError, RuntimeError, MemoryError):
        return name + " "


def thread():
    t = threading.Thread(target=lambda: None)
    t.start()
    t.join()


def on_term():
    global terms
    terms += 1
    line = attempt("fds", lambda: [open("/dev/null") for _ in range(20)])
    line += attempt("threads", thread)
    line += attempt("memory", lambda: bytearray(32 << 20))
    line += attempt("disk", lambda: scratch.write(b"x"))
    if "disk" in line:
        sys.stdout.write(f"refused {line}\n")     # the notes are a file too
        sys.stdout.flush()
    else:
        notes.write(line.strip() + "\n")
        notes.flush()
    if terms == (2 if sys.argv[3:] == ["twice"] else 1):
        leave(0)


server.on_term(on_term)
server.run()
