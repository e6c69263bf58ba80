"""Leaves in good order, but leaves a process behind. PORT HOW

HOW: `group` a child in its process group; `session` one that made a session of its own; `orphan` one whose parent is
gone as well; `port` one that holds the listener; `brief` one that goes by itself moments later.
"""
import subprocess
import sys

from tiny import Server, leave

how = sys.argv[2]
server = Server(int(sys.argv[1]), delay=0.01)
quiet = dict(stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
if how == "group":
    subprocess.Popen(["sleep", "301"], **quiet)
elif how == "session":
    child = subprocess.Popen(["sleep", "302"], start_new_session=True, **quiet)
    print("child", child.pid, flush=True)
elif how == "orphan":
    subprocess.run(["setsid", "sh", "-c", "setsid sleep 303 &"], check=True, **quiet)
elif how == "port":
    subprocess.Popen(["sleep", "304"], pass_fds=[server.listener.fileno()], **quiet)
elif how == "brief":
    # `read` ends when we do, with the only writer of its pipe.
    brief = subprocess.Popen(["sh", "-c", "read x; sleep 0.05"], **{**quiet, "stdin": subprocess.PIPE})


def stop():
    if how == "port":
        # The clients must be told: the port will go on taking connections.
        server.refuse = True
        server.wait_for_connections()
        leave(0)
    server.drain_by_listener()


server.on_term(stop)
server.run()
