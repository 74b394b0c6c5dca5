"""`navette system`: the SQL is shown before it is run, and what it makes is used and can be taken away."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from typer.testing import CliRunner, Result

from mappings.language.project import require_project
from pipelines.cli import systems
from pipelines.cli.app import app
from pipelines.runs.standing import pause
from tests.both_ways_desk import BOOKS, Both, both

__all__ = ["both"]

systems.register(app)

MADE = "SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'navette%'"


@pytest.fixture
def desk(both: Both, monkeypatch: pytest.MonkeyPatch) -> Both:
    monkeypatch.setattr("pipelines.hub.open_hub", lambda *_: both.hub)
    return both


def said(*words: str, answer: str | None = None) -> Result:
    return CliRunner().invoke(app, ["system", *words], input=answer)


def told(*words: str) -> Any:
    return orjson.loads(said(*words, "--json").stdout)


def test_the_sql_is_shown_and_nothing_runs_unless_a_person_says_so(desk: Both) -> None:
    shown = said("prepare", "books", answer="n\n")
    assert "CREATE SCHEMA" in shown.stdout
    assert "-- debtor, read by books_companies" in shown.stdout
    assert "nothing was run" in shown.stdout
    assert told("prepare", "books")["run"] is False
    assert desk.books.one(MADE) == 0
    assert said("prepare", "books", answer="y\n").exit_code == 0
    assert desk.books.one(MADE) == 4
    assert "recorded already" in said("prepare", "books").stdout


def test_what_is_shown_does_the_same_when_an_administrator_runs_it(desk: Both) -> None:
    shown = said("prepare", "books", answer="n\n").stdout
    sql = shown[: shown.index("run this?")]
    desk.books(sql)
    assert desk.books.one(MADE) == 4
    assert told("prepare", "books")["resources"][0]["done"] is True


def test_with_a_change_table_a_deleted_row_is_seen_and_undo_takes_it_away(desk: Both) -> None:
    (desk.root / "mappings/flows/books.yaml").write_text(
        BOOKS.replace(", changed_since: changed_at", "").replace("match: [siret]", "match: [siret]\n  absent: unlink"))
    both = Both(desk.root, desk.store, require_project(desk.root, {}), desk.erp, desk.books)
    assert said("prepare", "books", "--yes").exit_code == 0
    both.books("INSERT INTO debtor (label) VALUES ('One'), ('Two')")
    both.run("books_companies")
    both.books("DELETE FROM debtor WHERE label = 'One'")
    both.run("books_companies")
    assert both.one("SELECT count(*) FROM sync.crosswalk_company") == 1
    taken = told("prepare", "books", "--undo", "--yes")
    assert (taken["run"], desk.books.one(MADE)) == (True, 0)


def test_what_cannot_be_recorded_is_told_beside_what_can(desk: Both) -> None:
    desk.books("CREATE VIEW seen AS SELECT * FROM debtor")
    (desk.root / "mappings/flows/seen.yaml").write_text(
        BOOKS.replace("flow: books_companies", "flow: books_seen").replace("resource: debtor", "resource: seen")
        .replace("two-way", "in").replace("write: {create: true}\n", ""))
    both = Both(desk.root, desk.store, require_project(desk.root, {}), desk.erp, desk.books)
    desk.hub = both.hub
    found = {one["resource"]: one for one in told("prepare", "books", "--yes")["resources"]}
    assert "only a table's changes can be recorded" in found["seen"]["problem"]
    assert found["debtor"]["done"] is True
    assert said("prepare", "books").exit_code == 1


def test_a_system_that_is_not_there_or_needs_nothing_is_told_so(desk: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = said("prepare", "nobody")
    assert wrong.exit_code == 1
    assert "there is no system 'nobody'" in wrong.stderr
    monkeypatch.setattr("pipelines.ops.systems.PREPARED", ())
    assert "books: nothing is needed" in said("prepare", "books").stdout


def test_the_list_tells_connectors_flows_and_how_each_stands(desk: Both) -> None:
    pause(desk.hub, "books", "moving house")
    found = {one["name"]: one for one in told("list")["systems"]}
    assert found["erp"] == {"name": "erp", "connector": "sql", "state": "up", "why": None,
                            "flows": {"erp_companies": "two-way"}}
    assert (found["books"]["state"], found["books"]["why"]) == ("paused", "moving house")
    assert "moving house" in said("list").stdout
