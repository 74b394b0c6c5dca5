"""Requests whose JSON numbers are kept as they were written: a float would round an amount of many digits."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from decimal import Decimal
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute


class ExactRoute(APIRoute):
    """A route whose bodies hold numbers with a point as Decimal."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, on such requests."""
        handle = super().get_route_handler()

        async def exact(request: Request) -> Response:
            return await handle(_Exact(request.scope, request.receive))

        return exact


class _Exact(Request):
    async def json(self) -> Any:
        return json.loads(await self.body(), parse_float=Decimal)
