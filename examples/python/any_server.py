import asyncio
import os

import graceshut

gs = graceshut.install(grace=10)


async def read_request(reader):
    """Some HTTP; stands for whatever your server reads."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    _, _, length = head.partition(b"content-length:")
    await reader.readexactly(int(length.split()[0]) if length else 0)


async def answer(writer, status, keep):
    body = status.encode() + b"\n"
    words = "HTTP/1.1 %s\r\nContent-Length: %d\r\nConnection: %s\r\n\r\n"
    writer.write((words % (status, len(body), "keep-alive" if keep else "close")).encode() + body)
    await writer.drain()


async def connection(reader, writer):
    keep = True
    try:
        while keep:
            await read_request(reader)
            keep = not listener.stopping  # True from the signal on: say "Connection: close"
            try:
                with listener:  # counts the request in and out
                    await asyncio.sleep(0.01)
                    await answer(writer, "200 OK", keep)
            except graceshut.Draining:  # raised from `drain` on
                await answer(writer, "503 Service Unavailable", keep=False)
    except (EOFError, OSError):
        pass  # the client has gone
    writer.close()


async def main():
    global listener
    server = await asyncio.start_server(connection, "127.0.0.1", int(os.environ.get("PORT", 8080)), backlog=128)
    listener = gs.listener(server, server.close)
    print("ready", flush=True)
    await gs.stopped.wait()


asyncio.run(main())
