"""The receiver: `POST /hooks/{system}/{flow}`: a system's call is judged, kept in the inbox, and answered at once.

::

    size ─▶ form ─▶ signature, time ─▶ pace ─▶ flow ─▶ JSON ─▶ inbox, NOTIFY ─▶ 202 and a receipt
    413     415         401            429     404     400      200: it was there already; 422: its key, other words

Until the signature is good, all answers are the same whether or not there is such a system or flow.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Annotated

from fastapi import FastAPI, Path, Request
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from connectors.file.event import rows_of
from pipelines.http.counting import Counting
from pipelines.http.declared import require_json
from pipelines.http.pace import Pace
from pipelines.http.problem import Refused
from pipelines.http.signature import Caller, alike, digest_of, judge
from pipelines.hub import Hub
from pipelines.runs.calls import put

PREFIX = "/hooks/"
LONGEST_KEY = 200
_KEY = re.compile(rf"[!-~]{{1,{LONGEST_KEY}}}")


class Receiver:
    """What the receiver knows of the project: who may call, and how often. Raises what Caller.of raises."""

    def __init__(self, hub: Hub, counting: Counting) -> None:
        self._hub, self._counting = hub, counting
        self._callers, self._nobody = alike({
            name: Caller.of(name, system.hooks, hub.project.root)
            for name, system in hub.project.systems.items() if system.hooks is not None})
        self._paces = {name: Pace(caller.rate) for name, caller in self._callers.items()}

    def receive(self, system: str, flow: str, headers: Mapping[str, str], body: bytes) -> JSONResponse:
        """Keeps the call, or raises Refused; either is counted."""
        try:
            return self._receive(system, flow, headers, body)
        except Refused as error:
            self.count(system, str(error.more.get("code")))
            raise

    def count(self, system: str, what: str) -> None:
        """One more, under a name that is a system's or under none."""
        self._counting.add(system if system in self._callers else "", what)

    def _receive(self, system: str, name: str, headers: Mapping[str, str], body: bytes) -> JSONResponse:
        require_json(headers, code="type")
        verdict = judge(self._callers.get(system, self._nobody), headers, body, time.time())
        if verdict != "good":
            raise Refused(401, "not accepted", "the signature is not that of this system", code="signature") \
                if verdict == "signature" else \
                Refused(401, "not accepted", "the time it was signed at is too far from ours: correct the clock, and"
                                             " sign anew each time it is sent", code="time")
        if wait := self._paces[system].wait():
            raise Refused(429, "too many calls", f"this system may call {self._callers[system].rate:g} times a second",
                          headers={"Retry-After": str(wait)}, code="flood")
        flow = self._hub.project.flows.get(name)
        if flow is None or flow.system != system or not flow.read.hook:
            raise Refused(404, "no such flow", "no flow of this name takes calls of this system", code="flow")
        key = _key(headers)
        try:
            rows = rows_of(body)
        except ValueError as error:
            raise Refused(400, "not what can be read", f"{error}; expected a JSON object, or a list of them",
                          code="json") from error
        with self._hub.engine.begin() as connection:
            receipt = put(connection, flow, body, rows=len(rows), key=key,
                          digest=digest_of(headers["navette-timestamp"], body))
        if receipt.other:
            raise Refused(422, "this key is another call's",
                          f"call {receipt.number} came with this Idempotency-Key and another body", code="key")
        if receipt.repeated:
            self.count(system, "repeated")
        told = {"receipt": receipt.number, "system": system, "flow": name, "rows": receipt.rows,
                "received_at": receipt.received_at.isoformat()}
        return JSONResponse(told, 200 if receipt.repeated else 202)


def _key(headers: Mapping[str, str]) -> str | None:
    key = headers.get("idempotency-key")
    if key is not None and not _KEY.fullmatch(key):
        raise Refused(400, "not a key", f"Idempotency-Key: 1 to {LONGEST_KEY} visible ASCII characters", code="key")
    return key


def add_receiver(app: FastAPI, receiver: Receiver) -> None:
    """Adds its path."""

    @app.post(PREFIX + "{system}/{flow}", include_in_schema=False)
    async def receive(request: Request, system: Annotated[str, Path()], flow: Annotated[str, Path()]) -> JSONResponse:
        body = await request.body()
        return await run_in_threadpool(receiver.receive, system, flow, request.headers, body)
