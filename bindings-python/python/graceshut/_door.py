"""Closing a listening socket without cutting anybody off.

A connection is made by the kernel and waits in the listener's queue until the server accepts it; closing the listener
resets all that wait there, though their requests may have arrived. So before a server closes its listeners

1. new connection attempts are made to wait outside: a filter on the socket drops their first packet (SYN). The client's
   kernel sends it again after a second; by then it is refused in words. Nothing else is dropped;
2. the server goes on accepting until the queue is empty, which the kernel tells (TCP_INFO).

A listener that another process keeps open is left alone: what waits in its queue is that process's, and the filter would
stay on it.
"""

from __future__ import annotations

import os
import socket
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator, Optional

_SO_ATTACH_FILTER = getattr(socket, "SO_ATTACH_FILTER", 26)
#: Where ``tcpi_unacked`` stands in TCP_INFO: for a listener, how many wait to be accepted.
_UNACKED_AT = 24

# Classic BPF on the TCP header: flags & (SYN|RST|ACK) == SYN -> drop, else keep.
_ONLY_SYN = [
    (0x30, 0, 0, 13),  # ldb [13]
    (0x54, 0, 0, 0x16),  # and #SYN|RST|ACK
    (0x15, 0, 1, 0x02),  # jeq #SYN, next, skip
    (0x06, 0, 0, 0),  # ret #0
    (0x06, 0, 0, 0xFFFFFFFF),  # ret all
]


class Listener:
    """One listening socket of this process, seen through a descriptor of our own."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.inode = os.fstat(sock.fileno()).st_ino
        self.name = sock.getsockname()
        self.shut = False

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

    @property
    def queued(self) -> Optional[int]:
        """How many connections wait to be accepted; None where the kernel does not tell."""
        if not self.is_tcp:
            return None
        try:
            info = self._sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
            return int(struct.unpack_from("=I", info, _UNACKED_AT)[0])
        except (OSError, struct.error):
            return None

    def shut_door(self) -> bool:
        """New attempts wait outside; False where that cannot be had."""
        if not self.is_tcp:
            return False
        try:
            import ctypes

            code = b"".join(struct.pack("=HBBI", *line) for line in _ONLY_SYN)
            held = ctypes.create_string_buffer(code, len(code))
            program = struct.pack("@HP", len(_ONLY_SYN), ctypes.addressof(held))
            self._sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
        except (ImportError, OSError):
            return False
        self.shut = True
        return True

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


def held_elsewhere(ours: list[Listener]) -> set[int]:
    """The inodes among ``ours`` that another process has open as well, as far as we may look."""
    shared: set[int] = set()
    if "LISTEN_FDS" in os.environ:  # systemd's, or another activator's: it keeps them
        shared.update(one.inode for one in ours)
    names = {"socket:[%d]" % one.inode: one.inode for one in ours}
    me = str(os.getpid())
    for pid in os.listdir("/proc"):
        if not pid.isdigit() or pid == me:
            continue
        try:
            for fd in os.listdir("/proc/%s/fd" % pid):
                inode = names.get(os.readlink("/proc/%s/fd/%s" % (pid, fd)))
                if inode is not None:
                    shared.add(inode)
        except OSError:
            continue  # gone, or not ours to look at
    return shared
