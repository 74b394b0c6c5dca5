"""Records over HTTP: read, searched, made, changed by an application that speaks no SQL, under the CRM's own rules."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest

from mappings.errors import ConfigurationError
from pipelines.ops.tokens import create_token, revoke_token, tokens
from pipelines.runs.intake import run_flow
from tests.http_desk import Answer, Caller, caller, module_caller, module_road, road
from tests.road_desk import Road

pytestmark = pytest.mark.slow

__all__ = ["caller", "module_caller", "module_road", "road"]


@dataclass
class Application:
    """A CRM application with a token."""

    caller: Caller
    token: str

    def send(self, method: str, path: str, said: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
        body = None if said is None else said if isinstance(said, bytes) else orjson.dumps(said)
        kind = {} if said is None else {"Content-Type": "application/json"}
        return self.caller.send(method, path, body, {"Authorization": f"Bearer {self.token}"} | kind | dict(headers or {}))

    def get(self, path: str, **headers: str) -> Answer:
        return self.send("GET", path, None, headers)

    def make(self, entity: str = "company", **values: Any) -> Any:
        answer = self.send("POST", f"/crm/{entity}", values)
        assert answer.status == 201, answer.body
        assert answer.headers["location"] == f"/crm/{entity}/{answer.told['id']}"
        return answer.told

    def change(self, record: Any, match: str | None = None, entity: str = "company", **values: Any) -> Answer:
        tag = f'"{record["version"]}"' if match is None else match
        return self.send("PATCH", f"/crm/{entity}/{record['id']}", values, {"If-Match": tag})


@pytest.fixture
def shop(road: Road, caller: Caller) -> Application:
    return Application(caller, create_token(road.hub, "web_shop"))


@pytest.fixture
def module_shop(road: Road, module_caller: Caller) -> Application:
    """For requests that leave nothing behind."""
    return Application(module_caller, create_token(road.hub, "web_shop"))


def test_a_record_is_made_read_changed_and_archived(road: Road, shop: Application) -> None:
    made = shop.make(name="Ascenseurs Hervé", city="Lyon", credit_limit="1200.50", credit_limit_currency="EUR",
                     founded_on="1998-04-01", is_customer=True, changed_at="2026-01-05T09:30:00+01:00")
    assert (made["type"], made["version"], made["credit_limit"]) == ("prospect", 1, "1200.50")
    read = shop.get(f"/crm/company/{made['id']}")
    assert (read.status, read.told, read.headers["etag"]) == (200, made, '"1"')
    assert read.told["changed_at"] == "2026-01-05T08:30:00Z"
    changed = shop.change(made, city=None, credit_limit=7)
    assert (changed.status, changed.told["city"], changed.told["credit_limit"]) == (200, None, "7.00")
    assert changed.headers["etag"] == '"2"'
    archived = shop.change(changed.told, archived=True).told
    assert archived["archived_at"] is not None
    assert shop.get("/crm/company").told["items"] == []
    back = shop.change(archived, archived=False).told
    assert back["archived_at"] is None
    assert [row["id"] for row in shop.get("/crm/company").told["items"]] == [made["id"]]


@pytest.mark.parametrize(("known", "status"), [('"1"', 304), ('"9", W/"1"', 304), ("*", 304), ('"9"', 200), ("1", 200)])
def test_an_unchanged_record_is_not_sent_again(shop: Application, known: str, status: int) -> None:
    made = shop.make(name="Same")
    assert shop.get(f"/crm/company/{made['id']}", **{"If-None-Match": known}).status == status


def test_an_amount_that_a_float_would_round_is_kept_as_it_was_written(shop: Application) -> None:
    path = f"/crm/company/{shop.make(name='Exact', credit_limit_currency='EUR')['id']}"
    for written in ("70368744177664.13", "123456789012345678.12", "0.30"):
        answer = shop.send("PATCH", path, f'{{"credit_limit": {written}}}'.encode(), {"If-Match": "*"})
        assert (answer.status, answer.told["credit_limit"]) == (200, written)
    assert shop.send("PATCH", path, b'{"credit_limit": 1E+999999999}', {"If-Match": "*"}).status == 422


def test_an_amount_needs_its_currency(road: Road, shop: Application) -> None:
    def refused(answer: Answer) -> bool:
        return (answer.status, [place["at"] for place in answer.told["errors"]]) == (422, ["body.credit_limit_currency"])

    for currency in ({}, {"credit_limit_currency": None}, {"credit_limit_currency": " "}):
        assert refused(shop.send("POST", "/crm/company", {"name": "Bare", "credit_limit": 5} | currency))
    made = shop.make(name="Bare", balance_currency="EUR")
    assert refused(shop.change(made, credit_limit=5, city="Lyon"))
    assert (road.companies("name", "city"), road.one("SELECT count(*) FROM sync.journal")) == ([("Bare", None)], 1)
    made = shop.change(made, credit_limit=5, credit_limit_currency="EUR", balance=7).told
    assert refused(shop.change(made, credit_limit_currency=None))
    assert shop.change(made, credit_limit_currency=None, credit_limit=None).status == 200
    road.crm("UPDATE crm.company SET credit_limit = 5")
    assert shop.change(made, match="*", city="Lyon").status == 200  # what SQL wrote hinders no other change


def test_a_method_that_an_address_does_not_have_is_refused_with_those_it_has(shop: Application) -> None:
    assert shop.send("PUT", "/crm/company/1").headers["allow"] == "GET, HEAD, PATCH"
    assert shop.send("DELETE", "/crm/company").headers["allow"] == "GET, HEAD, POST"


def test_head_is_answered_as_get_without_the_body(shop: Application) -> None:
    path = f"/crm/company/{shop.make(name='Asked for')['id']}"
    for at in (path, "/crm/company", "/crm/company/404404", "/crm/company?nothing=1", "/openapi.json", "/hooks/shop/x"):
        whole, head = shop.get(at), shop.send("HEAD", at)
        assert (head.status, head.body) == (whole.status, b""), at
        assert {**head.headers, "date": ""} == {**whole.headers, "date": ""}
    assert shop.send("HEAD", path).status == 200
    assert shop.send("HEAD", path, headers={"If-None-Match": '"1"'}).status == 304


def test_a_search_filters_and_goes_on_where_the_page_ends(shop: Application) -> None:
    for number in range(7):
        shop.make(name=f"Atelier {number}" if number else "50% de remise", city="Lyon" if number % 2 else "Lille",
                  is_customer=number > 3)
    seen: list[str] = []
    path: str | None = "/crm/company?name.prefix=Atelier&page.limit=2"
    while path is not None:
        page = shop.get(path).told
        assert len(page["items"]) <= 2
        seen += [row["name"] for row in page["items"]]
        path = page["next"]
    assert seen == [f"Atelier {number}" for number in range(1, 7)]

    def names(query: str) -> list[str]:
        return [row["name"] for row in shop.get(f"/crm/company?{query}").told["items"]]

    assert names("city=Lyon&is_customer=true") == ["Atelier 5"]
    assert names("name.prefix=50%25") == ["50% de remise"]
    assert names("name.prefix=%25") == []
    assert names("archived=true") == []
    for bad in ("nothing=1", "is_customer=yes", "page.limit=0", "page.limit=100000", "name=%00", "page.after=-1",
                "name.prefix=a&name%3B=1"):
        assert shop.get(f"/crm/company?{bad}").status == 422, bad


@pytest.mark.parametrize(("query", "repeated"), [
    ("contract?equipment=1&equipment=2", "equipment"), ("company?name=A&city=x&name=B", "name"),
    ("company?page.limit=1&page.limit=2", "page.limit"), ("company?name.prefix=A&name.prefix=A", "name.prefix"),
])
def test_a_filter_that_is_said_twice_is_refused_by_its_name(module_shop: Application, query: str, repeated: str) -> None:
    answer = module_shop.get(f"/crm/{query}")
    assert (answer.status, answer.told["errors"]) == (422, [{"at": f"query.{repeated}", "what": "expected once"}])


def test_links_and_sets_are_checked_by_the_store(shop: Application) -> None:
    mother = shop.make(name="Mother")
    daughter = shop.make(name="Daughter", parent=mother["id"])
    assert [row["id"] for row in shop.get(f"/crm/company?parent={mother['id']}").told["items"]] == [daughter["id"]]
    refused = shop.send("POST", "/crm/company", {"name": "Orphan", "parent": 999_999_999})
    assert (refused.status, refused.told["title"]) == (422, "there is no record to link to")


def test_a_change_says_which_version_it_means(road: Road, shop: Application) -> None:
    made = shop.make(name="Contested")
    path = f"/crm/company/{made['id']}"
    assert shop.send("PATCH", path, {"city": "x"}).status == 428
    assert shop.change(made, city="Lyon").status == 200
    late = shop.change(made, city="Lille")
    assert (late.status, late.told["version"]) == (412, 2)
    assert shop.change(made, match='W/"2"', city="Lille").status == 412  # weak tags are for caches
    assert shop.change(made, match="*", city="Metz").status == 200
    assert shop.change({"id": 404_404, "version": 1}, city="x").status == 404
    assert road.companies("city") == [("Metz",)]


def test_a_change_that_changes_nothing_leaves_the_version_that_others_hold(road: Road, shop: Application) -> None:
    made = shop.make(name="Same", credit_limit=7, credit_limit_currency="EUR")
    for same in ({"name": "Same"}, {"credit_limit": "7.00", "city": None}, {"archived": False}, {}):
        answer = shop.change(made, match="*", **same)
        assert (answer.status, answer.told, answer.headers["etag"]) == (200, made, '"1"')
    assert shop.change(made, city="Lyon").status == 200
    assert shop.change(made, city="Lyon").status == 412  # another version is another version
    assert road.one("SELECT count(*) FROM sync.journal WHERE op = 'update'") == 1


def test_of_many_changes_of_one_version_one_is_done(shop: Application) -> None:
    made = shop.make(name="Contested")
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda number: shop.change(made, city=f"City {number}").status, range(12)))
    assert sorted(answers) == [200] + [412] * 11


def test_a_locked_field_is_named_with_its_master(road: Road, shop: Application) -> None:
    shop.caller.post({"id": 7, "version": 1, "name": "Mastered", "siret": "73282932000074"})
    run_flow(road.hub, "shop_customers")
    record = shop.get("/crm/company?siret=73282932000074").told["items"][0]
    refused = shop.change(record, name="Mine", city="Lyon")
    assert refused.status == 409
    assert (refused.told["field"], refused.told["master"]) == ("name", "shop")
    assert "its key there is 7" in refused.told["todo"]
    assert shop.change(record, name="Mastered", city="Lyon").status == 200  # the same value is no change


def test_the_journal_names_the_token_and_the_writer_is_no_hub(road: Road, shop: Application) -> None:
    made = shop.make(name="By the shop")
    shop.change(made, city="Lyon")
    login = road.store.roles.http
    assert road.hub_sees("SELECT op, author, system FROM sync.journal ORDER BY id") == [
        ("create", f"{login}:web_shop", None), ("update", f"{login}:web_shop", None)]
    assert road.hub_sees("SELECT pg_has_role(%s, 'navette_hub', 'MEMBER'), rolsuper FROM pg_roles WHERE rolname = %s",
                         login, login) == [(False, False)]
    with road.store.connect(road.store.roles.http) as connection, pytest.raises(Exception, match="permission denied"):
        connection.execute("SELECT * FROM sync.token")


def test_nobody_else_can_name_an_author(road: Road) -> None:
    road.crm("SELECT set_config('navette.author', 'somebody', false)")
    import psycopg

    with psycopg.connect(road.store.crm_url, autocommit=True) as connection:
        connection.execute("SELECT set_config('navette.author', 'somebody', false)")
        connection.execute("INSERT INTO crm.company (name) VALUES ('x')")
    assert road.one("SELECT author FROM sync.journal") == road.store.roles.app


@pytest.mark.parametrize("given", [None, "", "Bearer", "Bearer x", "Bearer nvt_", "Bearer nvt_é", "Basic bnZ0Xw==",
                                   "Bearer nvt_" + "a" * 20_000, "Bearer nvt_' OR true --"])
def test_without_a_good_token_nothing_is_told(module_caller: Caller, given: str | None) -> None:
    headers = {} if given is None else {"Authorization": given}
    for path in ("/crm/company", "/crm/company/1"):
        answer = module_caller.send("GET", path, None, headers)
        assert answer.status == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert answer.headers["content-type"] == "application/problem+json"


def test_a_revoked_token_is_none_from_the_next_request_on(road: Road, shop: Application) -> None:
    assert shop.get("/crm/company").status == 200
    revoke_token(road.hub, "web_shop")
    assert shop.get("/crm/company").status == 401
    with pytest.raises(ConfigurationError, match="no token 'web_shop' to revoke"):
        revoke_token(road.hub, "web_shop")
    [kept] = tokens(road.hub)
    assert kept.used_at is not None
    assert kept.revoked_at is not None
    assert road.hub_sees("SELECT count(*) FROM sync.token t WHERE t::text LIKE %s", f"%{shop.token[4:]}%") == [(0,)]


def test_a_token_works_as_a_role_of_the_crm_s_and_as_no_other(road: Road, caller: Caller, server: Any) -> None:
    for role in ("navette_hub", "navette_owner", "nobody_at_all", "pg_read_all_data", "navette_dagster"):
        with pytest.raises(ConfigurationError, match="may not work as the database role"):
            create_token(road.hub, "x", role)
    with closing(server.superuser(road.store.database)) as admin:
        admin.execute("CREATE ROLE crm_clerk NOLOGIN IN ROLE navette_crm")
        try:
            with pytest.raises(ConfigurationError, match="GRANT crm_clerk TO"):
                create_token(road.hub, "clerk", "crm_clerk")
            admin.execute(f"GRANT crm_clerk TO {road.store.roles.http}")
            clerk = Application(caller, create_token(road.hub, "clerk", "crm_clerk"))
            assert clerk.make(name="By the clerk")["id"]
            admin.execute(f"REVOKE crm_clerk FROM {road.store.roles.http}")
            assert clerk.get("/crm/company").status == 403
        finally:
            admin.execute("DROP ROLE crm_clerk")


@pytest.mark.parametrize("said", [
    {"name": None}, {}, {"name": 5}, {"name": "x" * 256}, {"name": "a\0b"}, {"name": "x", "id": 5},
    {"name": "x", "version": 9}, {"name": "x", "credit_limit": 1.999}, {"name": "x", "credit_limit": True},
    {"name": "x", "credit_limit": "1e400"}, {"name": "x", "type": "enemy"}, {"name": "x", "founded_on": "2026-02-30"},
    {"name": "x", "founded_on": 0}, {"name": "x", "changed_at": "2026-01-01T00:00:00"}, {"name": "x", "parent": "1"},
    {"name": "x", "is_customer": 1}, {"name": "x", "archived_at": "2026-01-01T00:00:00Z"}, [], [{"name": "x"}], "x", 7,
    b"", b"{", b'{"name": "\\ud800"}', b"\xff", b'{"name": NaN}', b"[" * 50_000,
])
def test_what_does_not_fit_is_refused_and_nothing_is_written(road: Road, module_shop: Application, said: Any) -> None:
    answer = module_shop.send("POST", "/crm/company", said)
    assert answer.status in (400, 422), answer.body
    assert answer.headers["content-type"] == "application/problem+json"
    assert road.one("SELECT count(*) FROM crm.company") == 0


@pytest.mark.parametrize(("method", "path", "status"), [
    ("GET", "/crm/nothing", 404), ("GET", "/crm/company/x", 422), ("GET", "/crm/company/0", 422),
    ("GET", "/crm/company/99999999999999999999", 422), ("DELETE", "/crm/company/1", 405), ("PUT", "/crm/company/1", 405),
    ("GET", "/crm/company/1%00", 422), ("GET", "/crm/company/+1", 422), ("GET", "/crm/company/1.0", 422), ("GET", "/crm/../sync/token", 404), ("GET", "/docs", 404), ("GET", "/", 404),
])
def test_hostile_and_wrong_paths_are_refused_as_problems(module_shop: Application, method: str, path: str, status: int) -> None:
    answer = module_shop.send(method, path)
    assert (answer.status, answer.headers["content-type"]) == (status, "application/problem+json")


@pytest.mark.parametrize("headers", [
    {"Content-Type": "text/plain"}, {"Content-Type": "application/json; charset=latin-1"}, {"Content-Type": ""},
    {"Content-Encoding": "gzip"},
])
def test_what_is_not_declared_as_json_is_refused(road: Road, shop: Application, headers: dict[str, str]) -> None:
    path = f"/crm/company/{shop.make(name='There')['id']}"
    for method, at in (("POST", "/crm/company"), ("PATCH", path)):
        answer = shop.send(method, at, {"name": "x"}, {"If-Match": "*"} | headers)
        assert (answer.status, answer.headers["content-type"]) == (415, "application/problem+json")
    assert road.companies("name") == [("There",)]


@pytest.mark.parametrize("blank", ["", " ", "\t\u00a0\n", None])
def test_blanks_are_no_value_of_a_required_field(road: Road, shop: Application, blank: str | None) -> None:
    made = shop.make(name=" A ", city=blank)
    for answer in (shop.send("POST", "/crm/company", {"name": blank}), shop.change(made, name=blank)):
        assert (answer.status, [place["at"] for place in answer.told["errors"]]) == (422, ["body.name"])
    assert road.companies("name") == [(" A ",)]


def test_a_body_that_is_too_large_is_refused(shop: Application) -> None:
    assert shop.send("POST", "/crm/company", {"name": "x", "notes": "y" * (1 << 20)}).status == 413


def test_a_statement_that_waits_for_somebody_is_given_up(road: Road, shop: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.http.bearer.LOCK_TIMEOUT", "100ms")
    made = shop.make(name="Held")
    with road.store.connect(road.store.roles.hub) as holding:
        holding.execute("SELECT FROM crm.company WHERE id = %s FOR UPDATE", [made["id"]])
        answer = shop.change(made, city="Lyon")
    assert (answer.status, answer.headers["retry-after"]) == (503, "5")


def test_the_document_is_valid_and_names_every_field(road: Road, caller: Caller) -> None:
    document = caller.send("GET", "/openapi.json").told
    import schemathesis  # seconds, which every process that collects the tests would pay

    schemathesis.openapi.from_dict(document).validate()
    for name, entity in road.project.entities.items():
        made = document["paths"][f"/crm/{name}"]["post"]["requestBody"]["content"]["application/json"]["schema"]["$ref"]
        properties = document["components"]["schemas"][made.rsplit("/", 1)[1]]["properties"]
        assert set(entity.fields) <= set(properties)
    assert document["components"]["schemas"]["CompanyMade"]["required"] == ["name"]
    assert document["components"]["schemas"]["CompanyMade"]["additionalProperties"] is False


@pytest.mark.slow
def test_schemathesis_finds_no_answer_that_the_document_does_not_know(road: Road, shop: Application) -> None:
    """Few examples of few entities; generated text of every kind, against the real server."""
    document = shop.caller.send("GET", "/openapi.json").told
    document["paths"] = {path: said for path, said in document["paths"].items()
                         if path.split("/")[2] in ("receivable", "time_entry")}
    (road.root / "openapi.json").write_bytes(orjson.dumps(document))
    checks = ("not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,"
              "response_schema_conformance,negative_data_rejection,unsupported_method,ignored_auth")
    made = subprocess.run(
        [str(Path(sys.executable).with_name("schemathesis")), "run", str(road.root / "openapi.json"), "--url",
         f"http://127.0.0.1:{shop.caller.port}", "--checks", checks, "--max-examples", "15", "--seed", "1",
         "--header", f"Authorization: Bearer {shop.token}", "--phases", "examples,coverage,fuzzing",
         "--generation-database", "none"],
        capture_output=True, text=True, timeout=250, cwd=road.root, check=False)
    assert made.returncode == 0, made.stdout[-6000:] + made.stderr[-2000:]
