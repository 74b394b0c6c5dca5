"""Refusals as RFC 9457 says them (application/problem+json): what happened, and what to do. Never a traceback."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnection
from starlette.exceptions import HTTPException
from starlette.routing import Match, Route

from mappings.errors import NavetteError

MEDIA_TYPE = "application/problem+json"
PROBLEM_SCHEMA: dict[str, Any] = {
    "type": "object", "required": ["title", "status"], "description": "RFC 9457: why a request was not done",
    "properties": {
        "title": {"type": "string"}, "status": {"type": "integer"}, "detail": {"type": "string"},
        "field": {"type": "string", "description": "409: the field that is locked"},
        "master": {"type": "string", "description": "409: the system that masters it"},
        "todo": {"type": "string", "description": "409: what to do instead"},
        "version": {"type": "integer", "description": "412: the version that the record has"},
        "errors": {"type": "array", "items": {"type": "object", "properties": {
            "at": {"type": "string"}, "what": {"type": "string"}}}, "description": "422: each place"},
    },
}
log = logging.getLogger("navette.http")


class Refused(Exception):
    """A request that is not done. `more`: members of the answer beside title, status and detail."""

    def __init__(self, status: int, title: str, detail: str = "", *, headers: Mapping[str, str] | None = None,
                 **more: Any) -> None:
        super().__init__(title)
        self.status, self.title, self.detail = status, title, detail
        self.headers, self.more = dict(headers or {}), more

    def response(self) -> JSONResponse:
        """The answer."""
        told = {"title": self.title, "status": self.status, **({"detail": self.detail} if self.detail else {})}
        return JSONResponse(told | self.more, self.status, self.headers, media_type=MEDIA_TYPE)


def not_now(seconds: int = 5) -> Refused:
    """The store does not answer, or is full."""
    return Refused(503, "not now", "the store does not answer; nothing was taken, so send it again",
                   headers={"Retry-After": str(seconds)})


def misfits(*places: tuple[str, str]) -> Refused:
    """What was sent does not fit: where, and what, each. Never the values themselves."""
    return Refused(422, "not what is expected here", "errors tells each place",
                   errors=[{"at": at, "what": what} for at, what in places])


def tell_problems(app: FastAPI) -> None:
    """Every refusal and every fault of the application is answered as a problem."""

    @app.exception_handler(Refused)
    async def refused(_: Request, error: Refused) -> JSONResponse:
        return error.response()

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSONResponse:
        title = "not what can be read" if error.status_code == 400 else str(error.detail).lower()
        headers = {"Allow": _allowed(app, request)} if error.status_code == 405 else error.headers
        return Refused(error.status_code, title, headers=headers).response()

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        return misfits(*((".".join(map(str, found["loc"])), str(found["msg"])) for found in error.errors())).response()

    async def store(_: Request, error: Exception) -> JSONResponse:
        log.warning("the store: %s", type(getattr(error, "orig", None) or error).__name__)  # no values: they are data
        return not_now().response()

    for kind in (DBAPIError, NoConnection, NavetteError):
        app.add_exception_handler(kind, store)


def _allowed(app: FastAPI, request: Request) -> str:
    """The methods of every route that the address has: the framework tells those of the first alone. GET: and HEAD."""
    routes = [route for route in app.routes
              if isinstance(route, Route) and route.matches(request.scope)[0] != Match.NONE]
    methods = {method for route in routes for method in route.methods or ()}
    return ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set())))
