"""Clients: 16 keep-alive connections with GET and POST in turns, a new connection every 25 ms, and slow requests."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import threading
import time

KEPT = 16
#: A connection that has not been made after this long is lost: the kernel of a closed door answers after one second.
CONNECT = 3.0
ANSWER = 20.0

Answer = collections.namedtuple("Answer", "status close")


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, method: str, path: str) -> Answer:
    """One request on an open connection. Raises ConnectionError where the answer is not there as a whole."""
    body = b"x" * 64 if method == "POST" else b""
    length = b"Content-Type: text/plain\r\nContent-Length: %d\r\n" % len(body) if body else b""
    writer.write(b"%s %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n" % (method.encode(), path.encode(), length) + body)
    try:
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), ANSWER)
        lines = head.decode("latin-1").split("\r\n")
        fields = {k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:] if line)}
        close = "close" in fields.get("connection", "").lower() or lines[0].startswith("HTTP/1.0")
        if "chunked" in fields.get("transfer-encoding", "").lower():
            await asyncio.wait_for(_chunks(reader), ANSWER)
        elif "content-length" in fields:
            await asyncio.wait_for(reader.readexactly(int(fields["content-length"])), ANSWER)
        elif close:
            await asyncio.wait_for(reader.read(), ANSWER)
    except (asyncio.IncompleteReadError, asyncio.TimeoutError, OSError) as error:
        raise ConnectionError(repr(error)) from error
    return Answer(int(lines[0].split()[1]), close)


async def _chunks(reader: asyncio.StreamReader) -> None:
    while True:
        size = int((await reader.readuntil(b"\r\n")).split(b";")[0], 16)
        await reader.readexactly(size + 2)
        if size == 0:
            return


class Load(threading.Thread):
    """Runs on a thread of its own from `start` to `stop`. The counters may be read at any time.

    A refused connection says in the kernel's words that nobody listens: balancers take the instance out, and the
    clients stop coming. A 503 is a refusal in words; any other answer than 2xx, a connection that ends inside an
    answer, and one that cannot be made within three seconds are lost.
    """

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self.port = port
        self.answered = self.refused = self.lost = 0
        self.why: collections.Counter[str] = collections.Counter()
        #: The longest time by which this thread was late, seconds: a client that connects and then says nothing for a while is
        #: closed by a server that stops, and rightly so.
        self.late = 0.0
        self._gone = False
        self._over = threading.Event()

    def stop(self) -> None:
        self._over.set()
        self.join(ANSWER + CONNECT + 5)

    def run(self) -> None:
        asyncio.run(self._run())

    async def _run(self) -> None:
        tasks = {asyncio.ensure_future(self._kept(n)) for n in range(KEPT)}
        while not self._over.is_set() and not self._gone:
            tasks.add(asyncio.ensure_future(self._once()))
            began = time.monotonic()
            await asyncio.sleep(0.025)
            self.late = max(self.late, time.monotonic() - began - 0.025)
        await asyncio.wait(tasks)

    async def _open(self):
        try:
            return await asyncio.wait_for(asyncio.open_connection("127.0.0.1", self.port), CONNECT)
        except ConnectionRefusedError:
            self._gone = True
        except (asyncio.TimeoutError, OSError) as error:
            self._lose("connect: %s" % type(error).__name__)
        return None

    def _lose(self, why: str) -> None:
        self.lost += 1
        self.why[why] += 1

    def _count(self, answer: Answer) -> None:
        if answer.status == 503:
            self.refused += 1
        elif answer.status < 300:
            self.answered += 1
        else:
            self._lose("status %d" % answer.status)

    async def _once(self) -> None:
        made = await self._open()
        if made is None:
            return
        try:
            self._count(await ask(*made, "GET", "/"))
        except ConnectionError as error:
            self._lose("new connection: %s" % str(error)[:60])
        made[1].close()

    async def _kept(self, number: int) -> None:
        """Comes back on a new connection when the old one was ended in order, but not after a 503 that ends it."""
        await asyncio.sleep(number * 0.01)
        while not self._over.is_set() and not self._gone:
            made = await self._open()
            if made is None:
                return
            if await self._asks(*made):
                return

    async def _asks(self, reader, writer) -> bool:
        asked = 0
        with contextlib.closing(writer):
            while not self._over.is_set() and not reader.at_eof():
                try:
                    answer = await ask(reader, writer, ("GET", "POST")[asked % 2], "/")
                except ConnectionError as error:
                    self._lose("kept connection: %s" % str(error)[:60])
                    return self._gone
                self._count(answer)
                asked += 1
                if answer.close:
                    return answer.status == 503
                await asyncio.sleep(0.02)
        return False


class Slow(threading.Thread):
    """Requests to /slow, each on a connection of its own; `join` it when the program is gone."""

    def __init__(self, port: int, number: int) -> None:
        super().__init__(daemon=True)
        self.port, self.number = port, number
        self.answered = self.lost = 0
        self.why: collections.Counter[str] = collections.Counter()

    def run(self) -> None:
        asyncio.run(self._run())

    async def _run(self) -> None:
        await asyncio.gather(*(self._one() for _ in range(self.number)))

    async def _one(self) -> None:
        try:
            made = await asyncio.open_connection("127.0.0.1", self.port)
            answer = await ask(*made, "GET", "/slow")
            if answer.status == 200:
                self.answered += 1
                return
            self.why["status %d" % answer.status] += 1
        except OSError as error:
            self.why[str(error)[:60]] += 1
        self.lost += 1


def answers(port: int, seconds: float, still_there) -> bool:
    """Blocks until `GET /` is answered with 200; False where the program ended or it took longer."""

    async def one() -> bool:
        try:
            made = await asyncio.open_connection("127.0.0.1", port)
            with contextlib.closing(made[1]):
                return (await asyncio.wait_for(ask(*made, "GET", "/"), 5)).status == 200
        except (OSError, asyncio.TimeoutError):
            return False

    until = time.monotonic() + seconds
    while time.monotonic() < until and still_there():
        if asyncio.run(one()):
            return True
        time.sleep(0.05)
    return False
