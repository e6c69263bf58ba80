"""How the ASGI middleware answers by itself: probes and refusals."""

from __future__ import annotations

import asyncio

from ._http import READ_LIMIT, REFUSED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Awaitable, Callable, MutableMapping

    Scope = MutableMapping[str, Any]
    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    App = Callable[[Scope, Receive, Send], Awaitable[None]]

_CLOSE = (b"connection", b"close")


def closing(message: Message) -> Message:
    headers = [h for h in message.get("headers", ()) if h[0].lower() != b"connection"]
    return {**message, "headers": [*headers, _CLOSE]}


async def answer(send: Send, status: int, body: bytes, close: bool, head: bool = False) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(body))]
    if close:
        headers.append(_CLOSE)
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if head else body})


async def _read_off(receive: Receive) -> None:
    size, more = 0, True
    while more and size < READ_LIMIT:
        message = await receive()
        size += len(message.get("body", b""))
        more = message["type"] == "http.request" and message.get("more_body", False)


async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
    try:
        await asyncio.wait_for(_read_off(receive), 1.0)
    except asyncio.TimeoutError:
        pass
    await answer(send, 503, REFUSED, close=scope["http_version"][0] == "1", head=scope["method"] == "HEAD")


async def refuse_websocket(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()  # websocket.connect
    if "websocket.http.response" in scope.get("extensions", {}):
        headers = [(b"content-length", b"%d" % len(REFUSED)), _CLOSE]
        await send({"type": "websocket.http.response.start", "status": 503, "headers": headers})
        await send({"type": "websocket.http.response.body", "body": REFUSED})
    else:
        await send({"type": "websocket.close", "code": 1013})
