"""A desk for the tests over HTTP: a project whose shop calls in, a real store, and a real server on loopback."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any

import fastapi.dependencies.models
import orjson
import pytest

from mappings.language.project import Project, require_project
from pipelines.http.app import build_app
from pipelines.http.serving import Place, server_of
from pipelines.http.signature import sign
from tests.road_desk import EMPTY, Road

SECRET = "a-secret-of-the-shop"
OLD_SECRET = "the-one-that-it-had-before"
ENV = {"SHOP_SECRET": SECRET, "SHOP_OLD": OLD_SECRET, "STALL_SECRET": "a-secret-of-the-stall"}

SYSTEMS = """
systems:
  shop:
    connector: file
    hooks: {secret: ["${SHOP_SECRET}", "${SHOP_OLD}"], rate: 10000}
  stall:
    connector: file
    folder: drop3
    stable_for: 0s
    hooks: {secret: "${STALL_SECRET}", rate: 0.5, window: 1m}
"""

COMPANY = """
entity: company
masters: {name: shop, archived: crm, else: shared}
"""

CUSTOMERS = """
flow: shop_customers
system: shop
read: {hook: true, version: version}
into:
  - entity: company
    key: id
    match: [siret]
    fields:
      name: {from: name, required: true}
      siret: siret
      city: address.city
      parent: {from: group, refers: company}
  - entity: contact
    each: people
    key: [^id, no]
    owner: {entity: company}
    fields:
      last_name: name
schedule: {live: true}
"""

STALL = """
flow: stall_companies
system: stall
read: {hook: true, files: "*.csv"}
into: {entity: company, key: id, fields: {name: {from: name, required: true}}}
"""


@dataclass
class Answer:
    """What the server said."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def told(self) -> Any:
        return orjson.loads(self.body)


@dataclass
class Caller:
    """Calls a server as a system does."""

    port: int

    def send(self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None,
             **more: Any) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, dict(headers or {}), **more)
            response = connection.getresponse()
            return Answer(response.status, {name.lower(): value for name, value in response.getheaders()},
                          response.read())
        finally:
            connection.close()

    def post(self, said: Any, *, path: str = "/hooks/shop/shop_customers", secret: str = SECRET, key: str | None = None,
             at: float | None = None, headers: Mapping[str, str] | None = None) -> Answer:
        """One signed call; `said` is bytes, or something that becomes JSON."""
        body = said if isinstance(said, bytes) else orjson.dumps(said)
        return self.send("POST", path, body, signed(body, secret, at) | ({"Idempotency-Key": key} if key else {})
                         | dict(headers or {}))


def signed(body: bytes, secret: str = SECRET, at: float | None = None) -> dict[str, str]:
    timestamp = str(int(time.time() if at is None else at))
    return {"Content-Type": "application/json", "Navette-Timestamp": timestamp,
            "Navette-Signature": sign(secret.encode(), timestamp, body)}


@contextmanager
def serving(road: Road, **said: Any) -> Iterator[Caller]:
    """A real server on a free port of loopback, until the block ends."""
    server = server_of(build_app(road.hub, **said), Place(port=0))
    thread = Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        yield Caller(server.servers[0].sockets[0].getsockname()[1])
    finally:
        server.should_exit = True
        thread.join(30)
        assert not thread.is_alive()
        for known in vars(fastapi.dependencies.models).values():  # they keep each app, its hub and its tables
            if hasattr(known, "cache_clear"):
                known.cache_clear()


def hooked_files() -> dict[str, str]:
    return {"systems": SYSTEMS, "entities/company": COMPANY, "flows/shop_customers": CUSTOMERS, "flows/stall": STALL}


def write_project(root: Path) -> Project:
    for name, text in hooked_files().items():
        path = root / "mappings" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (root / "drop3").mkdir(exist_ok=True)
    return require_project(root, ENV)


@pytest.fixture(scope="module")
def module_road(server: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Road]:
    root = tmp_path_factory.mktemp("http")
    project = write_project(root)
    store = server.new_store(project)
    yield Road(root, store, project)
    server.drop(store)


@pytest.fixture
def road(module_road: Road, server: Any) -> Road:
    """The project as it is written, and its store without a record."""
    with closing(server.superuser(module_road.store.database)) as connection:
        connection.execute(EMPTY)
    module_road.project = write_project(module_road.root)
    module_road.__post_init__()
    return module_road


@pytest.fixture(scope="module")
def module_caller(module_road: Road) -> Iterator[Caller]:
    """One server for all requests of a module that leave nothing behind."""
    with serving(module_road) as found:
        yield found


@pytest.fixture
def caller(road: Road) -> Iterator[Caller]:
    with serving(road) as found:
        yield found
