"""Requests that are declared as JSON, whose numbers are kept as they were written: a float would round long amounts."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from decimal import Decimal
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from pipelines.http.declared import require_json


class ExactRoute(APIRoute):
    """A route whose bodies are JSON (else it raises Refused), and hold numbers with a point as Decimal."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, on such requests."""
        handle, takes_body = super().get_route_handler(), self.body_field is not None

        async def exact(request: Request) -> Response:
            if takes_body:
                require_json(request.headers)
            return await handle(_Exact(request.scope, request.receive))

        return exact


class _Exact(Request):
    async def json(self) -> Any:
        return json.loads(await self.body(), parse_float=Decimal)
