"""Tests of the store run on every server there is: the embedded PostgreSQL 18 and Debian's 15."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.conftest import SERVERS, Server

CHOSEN = os.environ.get("NAVETTE_TEST_PG")


@pytest.fixture(scope="session", params=[CHOSEN] if CHOSEN else list(SERVERS))
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    yield from SERVERS[request.param]()
