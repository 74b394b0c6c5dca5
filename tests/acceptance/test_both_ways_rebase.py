"""Rebase: a mapping that changed is agreed on anew, and what reads otherwise is not taken for an edit."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from crm_store.migrate import migrate
from mappings.language.project import require_project
from pipelines.cli import sending
from pipelines.cli.app import app
from pipelines.runs.intake import rebase_flow
from tests.both_ways_desk import ERP, SIRETS, Both, both

pytestmark = pytest.mark.slow

__all__ = ["both"]

sending.register(app)

CODED = ERP.replace("city: city", "city: {from: city, values: {P: Paris, L: Lyon}, out: {to: city, values: {Paris: P, Lyon: L}}}"
                    ).replace("segment_note: note", "segment_note: {from: note, values: {A: gold, B: silver},"
                              " out: {to: note, values: {gold: A, silver: B}}}")
RECODED = CODED.replace("Paris", "PARIS").replace("Lyon", "LYON").replace("gold", "first").replace("silver", "second")


def mapped(both: Both, flow: str) -> Both:
    """The desk with another mapping of the ERP."""
    (both.root / "mappings/flows/erp.yaml").write_text(flow)
    project = require_project(both.root, {})
    migrate(both.store, project)
    return Both(both.root, both.store, project, both.erp, both.books)


def coded(both: Both) -> Both:
    """Three customers whose cities (shared) and notes (the CRM's) are read by codes."""
    desk = mapped(both, CODED)
    for number, siret in enumerate(SIRETS[:3], 1):
        desk.erp("INSERT INTO customer (name, siret, city, note) VALUES (%s, %s, 'P', 'A')", f"Company {number}", siret)
    desk.run("erp_companies")
    assert desk.sees("SELECT DISTINCT city, segment_note FROM crm.company") == [("Paris", "gold")]
    return desk


def test_a_codec_that_changes_every_value_makes_no_conflict_and_writes_nothing_there(both: Both) -> None:
    desk = mapped(coded(both), RECODED)
    before = desk.erp("SELECT * FROM customer ORDER BY id")
    result = rebase_flow(desk.hub, "erp_companies")
    assert (result.state, result.total("updated"), result.sent) == ("done", 3, None)
    # The ERP may set the shared city; the note is the CRM's, which keeps its word.
    assert desk.sees("SELECT DISTINCT city, segment_note FROM crm.company") == [("PARIS", "gold")]
    for _ in range(2):
        desk.run("erp_companies")
        desk.run("erp_companies", full=True)
        desk.push("erp_companies")
    assert desk.erp("SELECT * FROM customer ORDER BY id") == before
    assert desk.one("SELECT count(*) FROM sync.conflict") == 0
    assert desk.one("SELECT count(*) FROM sync.outbox o JOIN sync.feed f ON f.id = o.feed WHERE f.system = 'erp'") == 0


def test_a_plain_run_instead_takes_it_for_edits(both: Both) -> None:
    desk = mapped(coded(both), RECODED)
    desk.run("erp_companies", full=True)
    assert desk.one("SELECT count(*) FROM sync.outbox o JOIN sync.feed f ON f.id = o.feed"
                    " WHERE f.system = 'erp' AND o.state = 'refused'") == 3


def test_after_it_an_edit_on_either_side_is_an_edit_again(both: Both) -> None:
    desk = mapped(coded(both), RECODED)
    rebase_flow(desk.hub, "erp_companies")
    desk.crm("UPDATE crm.company SET segment_note = 'second', city = 'LYON' WHERE siret = %s", SIRETS[0])
    assert desk.push("erp_companies").counts["updated"] == 1
    assert desk.erp("SELECT city, note FROM customer WHERE siret = %s", SIRETS[0]) == [("L", "B")]
    desk.erp("UPDATE customer SET city = 'L' WHERE siret = %s", SIRETS[1])
    desk.run("erp_companies")
    assert desk.one("SELECT city FROM crm.company WHERE siret = %s", SIRETS[1]) == "LYON"


def test_a_value_that_the_system_had_cut_stays_whole_and_an_edit_that_waits_is_still_sent(both: Both) -> None:
    for siret in SIRETS[:2]:
        both.erp("INSERT INTO customer (name, siret, city) VALUES ('Company', %s, 'Metz')", siret)
    both.run("erp_companies")
    both.crm("UPDATE crm.company SET city = 'Villeneuve-sur-Lot' WHERE siret = %s", SIRETS[0])
    both.push("erp_companies")
    both.crm("UPDATE crm.company SET phone = '+33141000001' WHERE siret = %s", SIRETS[0])
    desk = mapped(both, ERP.replace("city: city", "city: {from: city, case: upper, out: {to: city}}"))
    rebase_flow(desk.hub, "erp_companies")
    assert desk.sees("SELECT city FROM crm.company ORDER BY id") == [("Villeneuve-sur-Lot",), ("METZ",)]
    desk.push("erp_companies")
    assert desk.erp("SELECT city, phone FROM customer ORDER BY id") == [("Villeneuve", "+33141000001"), ("Metz", None)]


def test_a_field_that_is_mapped_later_is_decided_by_its_master(both: Both) -> None:
    desk = mapped(both, ERP.replace("    website: website\n", ""))
    for siret, site in ((SIRETS[0], "https://there.example"), (SIRETS[1], None)):
        desk.erp("INSERT INTO customer (name, siret, website) VALUES ('Company', %s, %s)", siret, site)
    desk.run("erp_companies")
    desk.crm("UPDATE crm.company SET website = 'https://here.example' WHERE siret = %s", SIRETS[1])
    desk = mapped(desk, ERP)
    writes = desk.erp.writes()
    rebase_flow(desk.hub, "erp_companies")
    assert desk.erp.writes() == writes
    assert desk.sees("SELECT website FROM crm.company ORDER BY id") == [
        ("https://there.example",), ("https://here.example",)]
    desk.push("erp_companies")
    assert desk.erp.one("SELECT website FROM customer WHERE siret = %s", SIRETS[1]) == "https://here.example"
    assert desk.one("SELECT count(*) FROM sync.conflict") == 0


def test_the_command_says_what_it_did(both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = mapped(coded(both), RECODED)
    monkeypatch.setattr("pipelines.hub.open_hub", lambda *_: desk.hub)
    shown = CliRunner().invoke(app, ["rebase", "erp_companies", "--json"])
    assert shown.exit_code == 0
    assert '"updated": 3' in shown.stdout
