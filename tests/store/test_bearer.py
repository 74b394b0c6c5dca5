"""What a token lets a request do in the store, on every PostgreSQL: work as its role, be the author, and no more."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi.security import HTTPAuthorizationCredentials
from sqlalchemy import text

from crm_store.entity_tables import compile_entities
from pipelines.http.bearer import Bearer, Door
from pipelines.http.problem import Refused
from pipelines.hub import Hub
from pipelines.ops.tokens import create_token, tokens
from tests.conftest import Server, write_files


@pytest.fixture(scope="module")
def hub(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    root = tmp_path_factory.mktemp("project")
    project = write_files(root, {"entities/company": "entity: company\nmasters: {name: sage}\n"})
    store = server.new_store(project)
    yield Hub(project, root, store, compile_entities(project.entities))
    store.http().dispose()
    server.drop(store)


def let_in(hub: Hub, token: str) -> Bearer:
    return Door(hub.store)(HTTPAuthorizationCredentials(scheme="Bearer", credentials=token))


def test_a_request_works_as_its_role_and_its_token_is_the_author(hub: Hub) -> None:
    bearer = let_in(hub, create_token(hub, "shop"))
    with bearer.work(reads=False) as connection:
        assert connection.scalar(text("SELECT current_user")) == "navette_crm"
        connection.execute(text("INSERT INTO crm.company (name) VALUES ('By the shop')"))
    with bearer.work(reads=True) as connection:
        seen = connection.execute(text("SELECT author, system FROM sync.journal")).all()
    login = hub.store.roles.http
    expected = f"{login}:shop" if login in ("navette_http", f"navette_http_{hub.store.database}") else login
    assert [tuple(row) for row in seen] == [(expected, None)]
    assert [token.used_at is not None for token in tokens(hub)] == [True]


def test_what_only_reads_cannot_write_and_nothing_of_a_request_stays_with_its_connection(hub: Hub) -> None:
    bearer = let_in(hub, create_token(hub, "reader"))
    with pytest.raises(Refused) as refused, bearer.work(reads=True) as connection:
        connection.execute(text("INSERT INTO crm.company (name) VALUES ('x')"))
    assert refused.value.status == 403
    with hub.store.http().connect() as connection:
        row = connection.execute(text(
            "SELECT current_user = session_user, coalesce(current_setting('navette.author', true), ''),"
            " current_setting('transaction_read_only'), current_setting('statement_timeout')")).one()
    assert tuple(row) == (True, "", "off", "0")


@pytest.mark.parametrize("statement", [
    "SELECT digest FROM sync.token", "UPDATE sync.token SET role = 'navette_hub'", "SELECT body FROM sync.inbox",
    "INSERT INTO sync.inbox (system, flow, digest, body, rows) VALUES ('a', 'b', 'c', '{}', 1)",
    "SET ROLE navette_hub", "SELECT * FROM sync.crosswalk_company", "DELETE FROM crm.company",
])
def test_a_request_reaches_nothing_of_the_hub_s(hub: Hub, statement: str) -> None:
    bearer = let_in(hub, create_token(hub, f"t{len(tokens(hub))}"))
    with pytest.raises(Refused) as refused, bearer.work(reads=False) as connection:
        connection.execute(text(statement))
    assert refused.value.status == 403


def test_unknown_tokens_are_refused(hub: Hub) -> None:
    for token in ("nvt_", "nvt_unknown", "", "x" * 100_000):
        with pytest.raises(Refused) as refused:
            let_in(hub, token)
        assert refused.value.status == 401
