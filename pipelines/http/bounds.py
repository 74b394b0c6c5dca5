"""What holds for every request, before anything else looks at it: its size, its time, an answer whatever happens."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipelines.http.problem import Refused

MOST_BYTES = 1 << 20
MOST_SECONDS = 30.0
"""For the whole body: who sends a byte a minute holds nothing for long."""
LINGER_BYTES, LINGER_SECONDS = 256 << 10, 2.0
log = logging.getLogger("navette.http")


class Bounded:
    """Reads the body as a whole, as far as `most` bytes; `refused` is told the path and why one was not read.

    To what is inside, HEAD is GET: the server leaves the answer's body out.
    """

    def __init__(self, app: ASGIApp, most: int, refused: Callable[[str, str], None]) -> None:
        self.app, self.most, self.refused = app, most, refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        began = False

        async def sending(message: Message) -> None:
            nonlocal began
            began = began or message["type"] == "http.response.start"
            await send(message)

        try:
            try:
                body = await self._body(scope, receive)
            except Refused as error:
                self.refused(scope["path"], "oversize" if error.status == 413 else "slow")
                return await _part(error, scope, receive, sending)
            if body is not None:
                asked = {**scope, "method": "GET"} if scope["method"] == "HEAD" else scope
                await self.app(asked, _again(body, receive), sending)
        except Exception as error:
            log.exception("a fault of ours, answered with 500", exc_info=_bare(error))
            if not began:
                fault = Refused(500, "a fault of ours", "it is noted in the server's log")
                await fault.response()(scope, receive, sending)

    async def _body(self, scope: Scope, receive: Receive) -> bytes | None:
        """None where the client went away."""
        told = dict(scope["headers"]).get(b"content-length", b"")
        if told.isdigit() and int(told[:20]) > self.most:
            raise self._too_large()
        chunks: list[bytes] = []
        length = 0
        try:
            async with asyncio.timeout(MOST_SECONDS):
                while True:
                    message = await receive()
                    if message["type"] != "http.request":
                        return None
                    chunks.append(message.get("body", b""))
                    length += len(chunks[-1])
                    if length > self.most:
                        raise self._too_large()
                    if not message.get("more_body"):
                        return b"".join(chunks)
        except TimeoutError:
            raise Refused(408, "too slow", f"the body has to be here within {MOST_SECONDS:.0f} seconds",
                          headers={"Connection": "close"}) from None

    def _too_large(self) -> Refused:
        return Refused(413, "too large", f"at most {self.most} bytes; send fewer rows at once",
                       headers={"Connection": "close"})


async def _part(error: Refused, scope: Scope, receive: Receive, send: Send) -> None:
    """Answers before the body is here, and takes a little more of it in before the connection ends.

    A connection that is closed on somebody who still sends is reset, and the answer is lost with it.
    """

    async def held(message: Message) -> None:
        await send({**message, "more_body": True} if message["type"] == "http.response.body" else message)

    await error.response()(scope, receive, held)
    left = LINGER_BYTES
    with suppress(TimeoutError):
        async with asyncio.timeout(LINGER_SECONDS):
            while left > 0 and (message := await receive()).get("more_body"):
                left -= len(message.get("body", b""))
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def _again(body: bytes, receive: Receive) -> Receive:
    """The body in one message, then whatever else comes."""
    given = False

    async def receiving() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receiving


def _bare(error: Exception) -> Exception:
    """The same place in our code, without a message that may hold data."""
    return RuntimeError(type(error).__name__).with_traceback(error.__traceback__)
