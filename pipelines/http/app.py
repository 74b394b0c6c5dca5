"""The application behind `navette serve`: what it is made of, and the bounds around it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI
from starlette.types import ASGIApp

from pipelines.http.bounds import MOST_BYTES, Bounded
from pipelines.http.counting import Counting
from pipelines.http.exact import ExactRoute
from pipelines.http.problem import tell_problems
from pipelines.http.receiving import PREFIX, Receiver, add_receiver
from pipelines.http.record_routes import add_records
from pipelines.hub import Hub
from pipelines.runs.pruning import Pruning


def build_app(hub: Hub, *, most_bytes: int = MOST_BYTES) -> ASGIApp:
    """Everything that is served for one project. Raises ConfigurationError (a secret that cannot be read)."""
    counting, pruning = Counting(hub), Pruning(hub)
    receiver = Receiver(hub, counting)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        counting.start()
        pruning.start()
        yield
        pruning.stop()
        counting.stop()

    app = FastAPI(title="Navette", version=version("navette"), openapi_url=None, docs_url=None, redoc_url=None,
                  lifespan=lifespan, redirect_slashes=False)
    app.router.route_class = ExactRoute
    tell_problems(app)
    add_receiver(app, receiver)
    add_records(app, hub)

    def refused(path: str, why: str) -> None:
        if path.startswith(PREFIX):
            receiver.count(path.removeprefix(PREFIX).split("/")[0], why)

    return Bounded(app, most_bytes, refused)
