"""The listening sockets of this process, whoever made them. How they are closed is core's (spec 9.4)."""

from __future__ import annotations

import os

# The real one: gevent's and eventlet's sockets belong to a hub, and hooks may run on native threads.
import _socket as socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator, Optional


class Listener:
    """One listening socket of this process, seen through a descriptor of our own."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.inode = os.fstat(sock.fileno()).st_ino
        self.name = sock.getsockname()

    def fileno(self) -> int:
        return self._sock.fileno()

    @property
    def is_tcp(self) -> bool:
        return self._sock.family in (socket.AF_INET, socket.AF_INET6)

    @property
    def address(self) -> str:
        """As the configuration writes an address: "127.0.0.1:80", "[::1]:80", "unix:/path"."""
        if not self.is_tcp:
            return "unix:%s" % os.fsdecode(self.name)
        host, port = self.name[:2]
        return "%s:%d" % ("[%s]" % host if ":" in host else host, port)

    def forget(self) -> None:
        """Gives our descriptor up; the server's stays as it is."""
        self._sock.close()


def _own_sockets() -> Iterator[int]:
    for name in os.listdir("/proc/self/fd"):
        try:
            if os.readlink("/proc/self/fd/" + name).startswith("socket:"):
                yield int(name)
        except OSError:
            pass  # closed meanwhile


def listeners(ports: Optional[set[int]] = None, but: Optional[str] = None) -> list[Listener]:
    """The listening stream sockets of this process but the one at the address ``but``; with ``ports``, those on one of them."""
    found: dict[int, Listener] = {}
    for fd in _own_sockets():
        try:
            sock = socket.socket(fileno=os.dup(fd))
        except OSError:
            continue
        try:
            listens = sock.type == socket.SOCK_STREAM and sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
            one = Listener(sock) if listens else None
        except OSError:
            one = None
        wanted = one is not None and (ports is None or not one.is_tcp or one.name[1] in ports)
        if one is None or not wanted or one.inode in found or one.address == but:
            sock.close()
        else:
            found[one.inode] = one
    return list(found.values())
