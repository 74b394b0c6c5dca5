"""Preview of a system that answers: what would come in, what would go out, and that nothing is written anywhere."""

from __future__ import annotations

import orjson
import pytest
from typer.testing import CliRunner

from pipelines.cli import running, sending
from pipelines.cli.app import app
from pipelines.runs.preview import preview_flow
from tests.acceptance.test_both_ways import filled
from tests.both_ways_desk import SIRETS, Both, both

__all__ = ["both"]

pytestmark = pytest.mark.slow

for group in (running, sending):
    group.register(app)

EVERYTHING = """
SELECT (SELECT jsonb_agg(to_jsonb(c) ORDER BY id) FROM crm.company c),
       (SELECT jsonb_agg(to_jsonb(x) ORDER BY id_space, key) FROM sync.crosswalk_company x),
       (SELECT jsonb_agg(to_jsonb(o) ORDER BY feed, record_id) FROM sync.outbox o),
       (SELECT jsonb_agg(to_jsonb(p)) FROM sync.position p), (SELECT count(*) FROM sync.intent),
       (SELECT count(*) FROM sync.journal), (SELECT count(*) FROM sync.conflict)
"""


def standing(both: Both) -> tuple[object, ...]:
    return (*both.sees(EVERYTHING), both.erp.writes(), both.books.writes())


def number(both: Both, siret: str) -> int:
    return int(both.one("SELECT id FROM crm.company WHERE siret = %s", siret))


def test_it_tells_what_would_come_in_and_what_would_go_out_and_writes_nothing(both: Both) -> None:
    filled(both)
    both.erp("UPDATE customer SET name = 'Renamed' WHERE siret = %s", SIRETS[0])
    both.crm("UPDATE crm.company SET city = 'Villeneuve-sur-Lot' WHERE siret = %s", SIRETS[1])
    both.crm("INSERT INTO crm.company (name, siret, type) VALUES ('New', %s, 'customer')", SIRETS[4])
    before = standing(both)
    seen = preview_flow(both.hub, "erp_companies")
    assert standing(both) == before
    assert [(one["outcome"], one["fields"]) for one in seen.changes] == [
        ("updated", {"name": ["Company 1", "Renamed"]})]
    assert seen.due == 2
    key = str(both.erp.one("SELECT id FROM customer WHERE siret = %s", SIRETS[1]))
    assert seen.sends[0] == {"operation": "update", "key": key, "record_id": number(both, SIRETS[1]), "problem": None,
                             "cells": {"city": ["City 2", "Villeneuve-sur-Lot"]}}
    assert seen.sends[1]["operation"] == "create"
    assert seen.sends[1]["cells"] == {"name": ["", "New"], "siret": ["", SIRETS[4]]}
    assert len(seen.sends) == 2
    both.run("erp_companies")
    assert both.erp("SELECT name, city FROM customer ORDER BY id")[1:] == [
        ("Company 2", "Villeneuve"), ("Company 3", "City 3"), ("New", None)]
    assert preview_flow(both.hub, "erp_companies").as_json()["sends"] == []


def test_a_value_there_that_another_master_puts_right_is_among_what_would_be_sent(both: Both) -> None:
    filled(both)
    both.rounds()
    both.books("UPDATE debtor SET label = 'Wrong' WHERE siret = %s", SIRETS[0])
    seen = preview_flow(both.hub, "books_companies")
    assert [(one["operation"], one["cells"]) for one in seen.sends] == [("update", {"label": ["Wrong", "Company 1"]})]
    assert seen.due == 0
    assert both.books.one("SELECT label FROM debtor WHERE siret = %s", SIRETS[0]) == "Wrong"


def test_what_would_keep_a_record_from_being_sent_is_told(both: Both) -> None:
    filled(both, 1)
    both.crm("INSERT INTO crm.company (name, type) VALUES ('Mother', 'prospect')")
    both.crm("UPDATE crm.company SET parent = (SELECT id FROM crm.company WHERE name = 'Mother') WHERE siret = %s",
             SIRETS[0])
    waits, = preview_flow(both.hub, "erp_companies").sends
    assert "waits for its company" in waits["problem"]
    both.erp("DELETE FROM customer")
    lost, = preview_flow(both.hub, "erp_companies").sends
    assert "gone there" in lost["problem"]


def test_what_both_sides_have_changed_is_counted_as_the_run_does_and_told_once(both: Both) -> None:
    filled(both)
    both.erp("UPDATE customer SET name = 'There', city = 'There' WHERE siret = %s", SIRETS[0])
    both.crm("UPDATE crm.company SET city = 'Here' WHERE siret = %s", SIRETS[0])
    first = preview_flow(both.hub, "erp_companies")
    assert [set(one["conflicts"]) for one in first.changes] == [{"city"}]
    assert {name: first.changes[0]["conflicts"]["city"][name] for name in ("ours", "theirs")} == {
        "ours": "Here", "theirs": "There"}
    assert first.result.into["company"]["conflicts"] == 1
    run = both.run("erp_companies")
    assert run.into["company"]["conflicts"] == 1
    assert preview_flow(both.hub, "erp_companies").result.total("conflicts") == 0


def test_no_more_is_shown_than_asked_for_and_the_count_stays_true(both: Both) -> None:
    for name in ("A", "B", "C"):
        both.crm("INSERT INTO crm.company (name, type) VALUES (%s, 'customer')", name)
    seen = preview_flow(both.hub, "erp_companies", limit=2)
    assert (seen.due, len(seen.sends)) == (3, 2)


def test_the_command_shows_it_to_people_and_to_scripts(both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.hub.open_hub", lambda *_: both.hub)
    filled(both, 1)
    both.crm("UPDATE crm.company SET city = 'Lyon'")
    shown = CliRunner().invoke(app, ["preview", "erp_companies"])
    assert shown.exit_code == 0
    assert "city: City 1 -> Lyon" in shown.stdout
    told = orjson.loads(CliRunner().invoke(app, ["preview", "erp_companies", "--json"]).stdout)
    assert told["sends"][0]["cells"] == {"city": ["City 1", "Lyon"]}
    assert told["preview"] is True
    refused = CliRunner().invoke(app, ["preview", "erp_companies", "--file", "x.csv"])
    assert refused.exit_code == 1
