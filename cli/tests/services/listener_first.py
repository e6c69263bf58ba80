"""Closes its listener first and lets open connections finish, as Go and Node do. PORT [EXIT_CODE [REPORT]]"""
import os
import sys

from tiny import Server

REPORT = """{
  "graceshut": 1, "host": {"language": "python"}, "grace_us": 60000000, "reason": {"kind": "signal", "signal": "TERM"},
  "phases": [
    {"name": "announce", "budget_us": 2425000, "used_us": 12, "hooks": [
      {"name": "deregister", "kind": "function", "outcome": "ok", "late": false, "used_us": 9, "message": null}]},
    {"name": "drain"}
  ],
  "outcome": "clean", "a_key_of_the_future": 1.50
}"""
code = int(sys.argv[2]) if len(sys.argv) > 2 else 0
server = Server(int(sys.argv[1]))


def stop():
    if len(sys.argv) > 3:
        with open(os.environ["GRACESHUT_REPORT"], "w") as file:
            file.write(REPORT)
    server.drain_by_listener(code)


server.on_term(stop)
server.run()
