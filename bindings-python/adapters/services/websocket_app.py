"""Websockets that stay open and say what they are closed with; the app notes how it was told."""

import asyncio

import hooks
from bare_app import asgi, trace
from graceshut.asgi import Middleware


async def sockets(scope, receive, send):
    if scope["type"] != "websocket":
        return await asgi(scope, receive, send)
    await receive()
    await send({"type": "websocket.accept"})
    told = asyncio.ensure_future(hooks.gs.stopping.wait())
    told.add_done_callback(lambda _: trace("app told"))
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            trace("app closed %s" % message.get("code"))
            return
        await send({"type": "websocket.send", "text": message["text"]})


app = Middleware(sockets, ready="/readyz", websocket_code=1012)
