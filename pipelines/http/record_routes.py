"""`/crm/{entity}` and `/crm/{entity}/{id}`: a route for each entity and verb, so that the OpenAPI document is exact."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import date, datetime
from decimal import Decimal
from threading import Lock
from typing import Annotated, Any
from urllib.parse import urlencode

import orjson
from fastapi import Depends, FastAPI, Header, Query, Request, Response
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from sqlalchemy import Table

from mappings.language.entities import Entity
from pipelines.http import records
from pipelines.http.bearer import Bearer, Door
from pipelines.http.problem import MEDIA_TYPE, PROBLEM_SCHEMA, Refused, misfits
from pipelines.http.record_models import AFTER, Asked, record_models
from pipelines.hub import Hub

_ETAG = re.compile(r'"([0-9]{1,19})"', re.ASCII)


def add_records(app: FastAPI, hub: Hub) -> None:
    """Adds every entity of the project."""
    door = Door(hub.store)
    for name, entity in sorted(hub.project.entities.items()):
        _add_entity(app, door, entity, hub.tables.record[name])

    making = Lock()
    made: list[bytes] = []

    @app.get("/openapi.json", include_in_schema=False)
    def document() -> Response:
        with making:  # it takes seconds, once, and in a thread: others are answered meanwhile
            if not made:
                made.append(orjson.dumps(_document(app)))
        return Response(made[0], media_type="application/json")


def _document(app: FastAPI) -> dict[str, Any]:
    told = get_openapi(title=app.title, version=app.version, routes=app.routes)
    told["components"]["schemas"]["Problem"] = PROBLEM_SCHEMA
    return told


def _add_entity(app: FastAPI, door: Door, entity: Entity, table: Table) -> None:
    models, path = record_models(entity), f"/crm/{entity.name}"
    amounts = [name for name, spec in entity.fields.items() if spec.type == "money"]

    def search(request: Request, bearer: Any, asked: Any) -> Response:
        given = request.query_params.multi_items()
        _once(name for name, _ in given)
        whole = {**_defaults(asked), **asked.model_dump(by_alias=True, exclude_unset=True)}
        with bearer.work(reads=True) as connection:
            found, last = records.search(connection, table, whole)
        same = [(name, value) for name, value in given if name != AFTER]
        after = None if last is None else f"{path}?{urlencode([*same, (AFTER, str(last))])}"
        return _answer({"items": found, "next": after}, 200,
                       {"Link": f'<{after}>; rel="next"'} if after else {})

    def read(bearer: Any, id: Asked, if_none_match: Annotated[str | None, Header()] = None) -> Response:
        with bearer.work(reads=True) as connection:
            found = records.read(connection, table, id)
        if if_none_match is not None and {"*", _etag(found)} & {
                one.strip().removeprefix("W/") for one in if_none_match.split(",")}:
            return Response(status_code=304, headers={"ETag": _etag(found)})
        return _answer(found, 200, {"ETag": _etag(found)})

    def create(bearer: Any, body: Any) -> Response:
        with bearer.work(reads=False) as connection:
            values = body.model_dump(by_alias=True, exclude_unset=True)
            made = records.denominated(records.create(connection, table, values), amounts, values)
        return _answer(made, 201, {"ETag": _etag(made), "Location": f"{path}/{made['id']}"})

    def change(bearer: Any, id: Asked, body: Any,
               if_match: Annotated[str | None, Header(description='the ETag of what is changed, such as "3"')] = None
               ) -> Response:
        versions = _versions(if_match)
        with bearer.work(reads=False) as connection:
            values = body.model_dump(by_alias=True, exclude_unset=True)
            made = records.denominated(records.change(connection, table, id, values, versions), amounts, values)
        return _answer(made, 200, {"ETag": _etag(made)})

    inside = Annotated[Bearer, Depends(door)]
    routes: list[tuple[Callable[..., Response], str, str, type[BaseModel], int, tuple[int, ...], dict[str, Any]]] = [
        (search, "GET", path, models.page, 200, (), {"asked": Annotated[models.asked, Query()]}),
        (create, "POST", path, models.shown, 201, (400, 403, 409, 413, 415), {"body": models.made}),
        (read, "GET", path + "/{id}", models.shown, 200, (404,), {}),
        (change, "PATCH", path + "/{id}", models.shown, 200, (400, 403, 404, 409, 412, 413, 415, 428),
         {"body": models.changed}),
    ]
    for endpoint, verb, at, answer, status, refusals, parameters in routes:
        # The models are made while the program runs, so no annotation can name them.
        endpoint.__annotations__ |= {"bearer": inside, **parameters}
        told: dict[int | str, dict[str, Any]] = dict.fromkeys((401, 422, 503, *refusals), _PROBLEM)
        if endpoint is read:
            told[304] = {"description": "it is as it was"}
        app.add_api_route(
            at, endpoint, methods=[verb], response_model=answer, status_code=status, tags=[entity.name],
            operation_id=f"{endpoint.__name__}_{entity.name}", summary=f"{entity.label}: {endpoint.__name__}",
            responses=told,
        )


_PROBLEM: dict[str, Any] = {
    "description": "refused", "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
}


def _once(names: Iterable[str]) -> None:
    """Raises Refused: of two values under one name the framework takes the last and tells nobody."""
    if repeated := [name for name, times in Counter(names).items() if times > 1]:
        raise misfits(*((f"query.{name}", "expected once") for name in repeated))


def _defaults(asked: BaseModel) -> dict[str, Any]:
    """What a search says where nothing is asked: page, size, and without what is archived."""
    return {str(field.alias): field.default for field in type(asked).model_fields.values()
            if field.default_factory is None}


def _answer(told: Any, status: int, headers: dict[str, str]) -> Response:
    content = orjson.dumps(told, default=_plain, option=orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS)
    return Response(content, status, headers, media_type="application/json")


def _plain(value: Any) -> str:
    """Decimals as text, so that no reader rounds them."""
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, date | datetime):
        return value.isoformat()
    raise TypeError


def _etag(row: records.Record) -> str:
    return f'"{row["version"]}"'


def _versions(if_match: str | None) -> frozenset[int] | None:
    """The versions that a change is meant for; None: `*`, whichever there is."""
    if if_match is None:
        raise Refused(428, "which version is changed?", "send If-Match with the ETag that the record was read with")
    if if_match.strip() == "*":
        return None
    found = [_ETAG.fullmatch(one.strip()) for one in if_match.split(",")]
    return frozenset(int(one[1]) for one in found if one is not None and int(one[1]) < 2**63)
