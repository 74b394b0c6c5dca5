"""What may be there already is not made there: records that held rows fit, and a system that nobody has read yet."""

from __future__ import annotations

import orjson
import pytest
from typer.testing import CliRunner

from pipelines.cli import sending
from pipelines.cli.app import app
from pipelines.ops.outgoing import outgoing
from pipelines.runs.intake import adopt_flow
from pipelines.runs.preview import preview_flow
from pipelines.runs.pushing import push_flow
from pipelines.runs.settling import settle_row
from tests.both_ways_desk import SIRETS, Both, both

pytestmark = pytest.mark.slow

__all__ = ["both"]

sending.register(app)


@pytest.fixture
def unread(both: Both) -> Both:
    """Nobody has read the systems yet."""
    both.sees("DELETE FROM sync.run")
    return both


def company(both: Both, name: str, siret: str) -> int:
    query = "INSERT INTO crm.company (name, type, siret) VALUES (%s, 'customer', %s) RETURNING id"
    return int(both.crm(query, name, siret)[0][0])


def rows(both: Both) -> int:
    return int(both.erp.one("SELECT count(*) FROM customer"))


def test_a_record_that_a_row_in_review_may_be_is_not_made_there(
    both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.hub.open_hub", lambda *_: both.hub)
    first, second = company(both, "One", SIRETS[0]), company(both, "Two", SIRETS[0])
    other = company(both, "Other", SIRETS[1])
    both.erp("INSERT INTO customer (name, siret) VALUES ('One', %s)", SIRETS[0])
    adopt_flow(both.hub, "erp_companies")
    (row,) = both.sees("SELECT id FROM sync.held WHERE state = 'open' AND outcome = 'review'")
    pushed = both.push("erp_companies")
    assert (pushed.counts["created"], pushed.counts["waiting"], rows(both)) == (1, 2, 2)
    assert {(one.record_id, one.state, one.why) for one in outgoing(both.hub, "erp_companies")} == {
        (record, "waiting", f"row {row[0]}, which is held, may be this record, which would then be there twice")
        for record in (first, second)}
    assert "1 of 2 records are shown" in CliRunner().invoke(app, ["outbox", "erp_companies", "--limit", "1"]).stdout
    assert "are shown" not in CliRunner().invoke(app, ["outbox", "erp_companies", "--limit", "2"]).stdout
    settle_row(both.hub, row[0], link=first)
    assert both.push("erp_companies").counts["created"] == 1  # the second is another company after all
    assert both.erp("SELECT external_ref FROM customer WHERE external_ref <> '' ORDER BY id") == [
        (str(other),), (str(second),)]
    assert outgoing(both.hub, "erp_companies") == []


def test_a_record_that_a_row_fits_which_waits_for_its_parent_is_not_made_there(both: Both) -> None:
    company(both, "Child", SIRETS[0])
    parent = both.erp.one("INSERT INTO customer (name) VALUES ('') RETURNING id")
    both.erp("INSERT INTO customer (name, siret, parent_id) VALUES ('Child', %s, %s)", SIRETS[0], parent)
    assert both.run("erp_companies").total("parked") == 1
    both.sees("UPDATE sync.outbox SET due_at = now()")
    assert (both.push("erp_companies").counts["created"], rows(both)) == (0, 2)
    assert ("waiting", "may_be_there") in both.outbox()
    both.erp("UPDATE customer SET name = 'Parent' WHERE id = %s", parent)
    both.run("erp_companies")
    both.sees("UPDATE sync.outbox SET due_at = now()")
    assert (both.push("erp_companies").counts["created"], rows(both)) == (0, 2)
    assert outgoing(both.hub, "erp_companies") == []


def test_a_record_that_a_rejected_row_fits_is_not_made_there(both: Both) -> None:
    both.erp("INSERT INTO customer (name, siret, phone) VALUES ('One', %s, 'none')", f"{SIRETS[0][:9]} {SIRETS[0][9:]}")
    assert both.run("erp_companies").total("rejected") == 1
    one, two = company(both, "One", SIRETS[0]), company(both, "Two", SIRETS[1])
    would = preview_flow(both.hub, "erp_companies").sends
    told = "row 1, which is held, may be this record, which would then be there twice"
    assert {each["record_id"]: each["problem"] for each in would} == {one: told, two: None}
    assert (both.push("erp_companies").counts["created"], rows(both)) == (1, 2)
    assert [each.why for each in outgoing(both.hub, "erp_companies")] == [told]
    both.erp("UPDATE customer SET phone = '' WHERE name = 'One'")
    both.run("erp_companies")
    both.sees("UPDATE sync.outbox SET due_at = now()")
    assert (both.push("erp_companies").counts["created"], rows(both)) == (0, 2)
    assert outgoing(both.hub, "erp_companies") == []
    assert both.one("SELECT count(*) FROM sync.crosswalk_company WHERE record_id IN (%s, %s)", one, two) == 2


def test_a_rejected_row_that_is_known_to_be_another_record_keeps_nobody_waiting(both: Both) -> None:
    desk = both.remade(("flows/erp", "match: [siret]", "match: [siret, [name, city]]"))
    desk.erp("INSERT INTO customer (name, siret, city) VALUES ('One', %s, 'Lyon')", SIRETS[0])
    desk.rounds()
    desk.erp("UPDATE customer SET phone = 'none'")
    assert desk.run("erp_companies").total("rejected") == 1
    desk.crm("INSERT INTO crm.company (name, type, siret, city) VALUES ('One', 'customer', %s, 'Lyon')", SIRETS[1])
    assert desk.push("erp_companies").counts["created"] == 1


@pytest.mark.parametrize("said", [[], ["--everything"]])
def test_in_a_system_that_was_not_read_yet_nothing_is_made_unasked(
    unread: Both, monkeypatch: pytest.MonkeyPatch, said: list[str]
) -> None:
    monkeypatch.setattr("pipelines.hub.open_hub", lambda *_: unread.hub)
    company(unread, "One", SIRETS[0]), company(unread, "New", SIRETS[1])
    unread.erp("INSERT INTO customer (name, siret) VALUES ('One', %s)", SIRETS[0])
    asked = CliRunner().invoke(app, ["push", "erp_companies", *said])
    assert (asked.exit_code, rows(unread)) == (3, 1)
    assert "2 records would be made there, and this flow has not read yet what is there" in asked.stdout
    assert "navette adopt erp_companies" in asked.stdout
    told = orjson.loads(CliRunner().invoke(app, ["push", "erp_companies", "--json"]).stdout)
    assert told["tripped"] == [{"what": "unseen", "into": "company", "count": 2, "of": 0, "limit": 0.0}]
    adopt_flow(unread.hub, "erp_companies")
    assert CliRunner().invoke(app, ["push", "erp_companies", *said]).exit_code == 0
    assert unread.erp("SELECT name FROM customer ORDER BY id") == [("One",), ("New",)]


def test_who_knows_that_nothing_is_there_may_approve(unread: Both) -> None:
    company(unread, "New", SIRETS[1])
    assert push_flow(unread.hub, "erp_companies", approved=True).counts["created"] == 1
