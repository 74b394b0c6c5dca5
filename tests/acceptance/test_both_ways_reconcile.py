"""Reconcile: every cause of a difference is told by its name, nothing is changed, and --repair puts right what it may."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner

from crm_store.migrate import migrate
from mappings.language.project import require_project
from pipelines.cli import mending
from pipelines.cli.app import app
from pipelines.ops.merging import merge
from pipelines.runs.intake import adopt_flow
from pipelines.runs.reconcile import Reconciled, reconcile_flow
from tests.acceptance.test_both_ways import filled
from tests.acceptance.test_both_ways_preview import standing
from tests.both_ways_desk import SIRETS, Both, both

pytestmark = pytest.mark.slow

__all__ = ["both"]

mending.register(app)


def told(found: Reconciled) -> set[tuple[Any, ...]]:
    return {(one["cause"], one["field"], one["here"], one["there"]) for one in found.differences}


def test_both_sides_that_agree_differ_in_nothing(both: Both) -> None:
    filled(both)
    both.rounds()
    before = standing(both)
    found = reconcile_flow(both.hub, "erp_companies")
    assert (found.totals, found.exit_code, found.result.rows_read) == ({}, 0, 3)
    assert standing(both) == before


def test_each_difference_is_told_with_its_cause(both: Both) -> None:
    filled(both, 5)
    both.erp("UPDATE customer SET name = 'Newer' WHERE siret = %s", SIRETS[0])  # the system's own field
    both.crm("UPDATE crm.company SET city = 'Pending' WHERE siret = %s", SIRETS[1])
    both.crm("UPDATE crm.company SET city = 'Here' WHERE siret = %s", SIRETS[2])
    both.erp("UPDATE customer SET city = 'There' WHERE siret = %s", SIRETS[2])  # shared, and no policy
    both.erp("INSERT INTO customer (name) VALUES ('Only there')")
    both.crm("INSERT INTO crm.company (name, type) VALUES ('Never sent', 'customer')")
    both.erp("DELETE FROM customer WHERE siret = %s", SIRETS[4])
    before = standing(both)
    found = reconcile_flow(both.hub, "erp_companies")
    assert standing(both) == before
    assert told(found) == {
        ("newer_there", "name", "Company 1", "Newer"), ("pending", "city", "Pending", "City 2"),
        ("conflict", "city", "Here", "There"), ("only_there", None, None, None), ("gone_there", None, None, None),
        ("never_sent", None, None, None),
    }
    assert found.exit_code == 4
    assert sum(found.totals.values()) == 6


def test_what_the_system_cut_is_known_and_no_fault(both: Both) -> None:
    filled(both, 1)
    both.crm("UPDATE crm.company SET city = 'Villeneuve-sur-Lot'")
    both.push("erp_companies")
    found = reconcile_flow(both.hub, "erp_companies")
    assert told(found) == {("stored_otherwise", "city", "Villeneuve-sur-Lot", "Villeneuve")}
    assert found.exit_code == 0


def test_what_was_refused_says_why_and_is_sent_again_by_repair(both: Both) -> None:
    filled(both, 1)
    both.crm("INSERT INTO crm.company (name, type) VALUES ('FORBIDDEN', 'customer')")
    both.push("erp_companies")
    found = reconcile_flow(both.hub, "erp_companies", repair=True)
    assert found.totals == {"refused": 1}
    assert "this name is not allowed here" in found.differences[0]["why"]
    both.erp("CREATE OR REPLACE FUNCTION tidy() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN new; END $$")
    assert both.push("erp_companies").counts["created"] == 1


def test_a_row_that_cannot_be_read_shows_what_could_not(both: Both) -> None:
    filled(both, 1)
    both.erp("UPDATE customer SET siret = '123'")
    found = reconcile_flow(both.hub, "erp_companies")
    assert [(one["cause"], one["why"]) for one in found.differences] == [
        ("held", "siret: '123' is not a valid SIRET (14 digits with a check digit)")]


def test_fields_that_were_never_agreed_on_are_told_apart_from_edits(both: Both) -> None:
    both.crm("INSERT INTO crm.company (name, siret, type, city) VALUES ('Met', %s, 'customer', 'Here')", SIRETS[0])
    both.sees("DELETE FROM sync.outbox")
    both.erp("INSERT INTO customer (name, siret, city) VALUES ('Met', %s, 'There')", SIRETS[0])
    assert reconcile_flow(both.hub, "erp_companies").totals == {"not_linked": 1}
    adopt_flow(both.hub, "erp_companies")
    assert told(reconcile_flow(both.hub, "erp_companies")) == {("not_agreed", "city", "Here", "There")}


def test_repair_queues_what_the_masters_allow_and_the_next_round_ends_the_differences(both: Both) -> None:
    filled(both)
    both.rounds()
    # Changes that no run has seen and none would see: stamps that did not move, and markers that were lost.
    both.erp("ALTER TABLE customer DISABLE TRIGGER tidy")
    both.erp("UPDATE customer SET name = 'Unseen', changed_at = '2020-01-01' WHERE siret = %s", SIRETS[0])
    both.erp("INSERT INTO customer (name, changed_at) VALUES ('Unseen too', '2020-01-01')")
    both.erp("UPDATE customer SET changed_at = '2020-01-01' WHERE siret = %s", SIRETS[1])
    both.erp("ALTER TABLE customer ENABLE TRIGGER tidy")
    both.crm("UPDATE crm.company SET city = 'Lost' WHERE siret = %s", SIRETS[1])
    both.sees("DELETE FROM sync.outbox")
    both.run("erp_companies")
    assert both.one("SELECT name FROM crm.company WHERE siret = %s", SIRETS[0]) == "Company 1"
    found = reconcile_flow(both.hub, "erp_companies", repair=True)
    assert found.totals == {"newer_there": 1, "only_there": 1, "pending": 1}
    assert (found.queued, found.taken) == (1, 2)
    both.run("erp_companies")
    assert both.one("SELECT name FROM crm.company WHERE siret = %s", SIRETS[0]) == "Unseen"
    assert both.erp.one("SELECT city FROM customer WHERE siret = %s", SIRETS[1]) == "Lost"
    assert reconcile_flow(both.hub, "erp_companies").totals == {}


def test_an_override_is_told_and_stays_and_what_a_flow_does_not_send_is_told_too(both: Both) -> None:
    company = Path(both.root / "mappings/entities/company.yaml")
    company.write_text(company.read_text().replace("siret: erp,", "siret: {system: erp, lock: false},"))
    flow = Path(both.root / "mappings/flows/books.yaml")
    flow.write_text(flow.read_text().replace("two-way", "in").replace("write: {create: true}\n", ""))
    project = require_project(both.root, {})
    migrate(both.store, project)
    desk = Both(both.root, both.store, project, both.erp, both.books)
    filled(desk, 1)
    desk.crm("UPDATE crm.company SET siret = %s", SIRETS[3])
    for _ in range(2):
        found = reconcile_flow(desk.hub, "erp_companies")
        assert told(found) == {("override", "siret", SIRETS[3], SIRETS[0])}
        assert found.exit_code == 0
        desk.run("erp_companies", full=True)
    desk.books("INSERT INTO debtor (label, siret) VALUES ('Other name', %s)", SIRETS[3])
    desk.run("books_companies")
    assert ("not_sent", "name", "Company 1", "Other name") in told(reconcile_flow(desk.hub, "books_companies"))


def test_what_another_row_says_is_no_override_and_an_override_of_both_rows_is_one(both: Both) -> None:
    desk = both.remade(("entities/company", "credit_limit: books", "credit_limit: {system: books, lock: false}"))
    filled(desk, 2)
    desk.rounds()
    winner, loser = (row[0] for row in desk.sees("SELECT id FROM crm.company ORDER BY id"))
    merge(desk.hub, "company", loser, winner)
    desk.rounds()
    desk.books("UPDATE debtor SET credit = 77 WHERE no = 5001")
    desk.rounds()
    found = reconcile_flow(desk.hub, "books_companies")
    assert [(one["cause"], one["key"], one["field"]) for one in found.differences] == [
        ("other_row", "5000", "credit_limit")]
    desk.crm("UPDATE crm.company SET credit_limit = 55 WHERE id = %s", winner)
    desk.rounds()
    assert reconcile_flow(desk.hub, "books_companies").totals == {"override": 2}


def test_an_edit_of_a_record_that_the_flow_does_not_name_is_left_out_and_not_queued(
    both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.hub.open_hub", lambda *_: both.hub)
    filled(both, 1)
    both.crm("UPDATE crm.company SET type = 'prospect', city = 'Lyon'")
    both.rounds()
    assert told(reconcile_flow(both.hub, "erp_companies")) == {("left_out", "city", "Lyon", "City 1")}
    shown = CliRunner().invoke(app, ["reconcile", "erp_companies", "--repair"])
    assert "1 left_out: changed here, and write.when does not name the record" in shown.stdout
    assert (shown.exit_code, both.outbox()) == (0, [])
    both.erp("UPDATE customer SET siret = '123'")
    found = reconcile_flow(both.hub, "erp_companies", repair=True)
    assert (found.totals, found.queued) == ({"held": 1}, 0)
    both.erp("UPDATE customer SET siret = %s", SIRETS[0])
    both.crm("UPDATE crm.company SET type = 'customer'")
    both.sees("DELETE FROM sync.outbox")
    shown = CliRunner().invoke(app, ["reconcile", "erp_companies", "--repair"])
    assert "1 record queued: navette push erp_companies looks at it" in shown.stdout
    both.push("erp_companies")
    assert both.erp("SELECT city FROM customer") == [("Lyon",)]


def test_the_list_is_bounded_and_the_totals_are_whole(both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.hub.open_hub", lambda *_: both.hub)
    for number in range(5):
        both.erp("INSERT INTO customer (name) VALUES (%s)", f"There {number}")
    answer = CliRunner().invoke(app, ["reconcile", "erp_companies", "--limit", "2", "--json"])
    found = orjson.loads(answer.stdout)
    assert (len(found["differences"]), found["totals"], answer.exit_code) == (2, {"only_there": 5}, 4)
    shown = CliRunner().invoke(app, ["reconcile", "erp_companies", "--repair"])
    assert "5 only_there: a row there that is no record here" in shown.stdout
    assert "5 rows are taken in by the next navette run" in shown.stdout
