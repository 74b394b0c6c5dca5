"""What a flow's guard holds of what goes out: changes, new records and ends there, and not what says nothing new."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from pipelines.cli.app import whole
from pipelines.cli.running import summed
from pipelines.ops.status import status
from pipelines.orchestration.status import needs
from pipelines.runs.intake import adopt_flow
from pipelines.runs.preview import preview_flow
from pipelines.runs.push_result import PushResult
from pipelines.runs.pushing import push_flow
from pipelines.runs.result import RunResult
from pipelines.stages.guard import Tripped
from tests.both_ways_desk import Both, both

pytestmark = pytest.mark.slow

__all__ = ["both"]

ROWS = "INSERT INTO customer (name, city) SELECT 'C' || n, 'Nice' FROM generate_series(1, 40) n"
CITIES = "SELECT city, count(*) FROM customer GROUP BY city ORDER BY city"


def guarded(both: Both, guard: str, *changes: tuple[str, str, str]) -> Both:
    """Forty rows there, each linked to its record."""
    desk = both.remade(("flows/erp", "write:", f"guard: {{{guard}}}\nwrite:"), *changes)
    desk.erp(ROWS)
    desk.run("erp_companies")
    desk.push("erp_companies")
    return desk


@pytest.mark.parametrize("ends", ["delete", "archive"])
def test_a_mass_of_records_that_are_archived_here_ends_nothing_there_unasked(both: Both, ends: str) -> None:
    both.erp("ALTER TABLE customer ADD closed text")
    closes = "settle: 100ms, archived: {customer: {column: closed, value: Y}}}\n  books"
    desk = guarded(both, "creates: 30%", ("flows/erp", "write: {", f"write: {{archived: {ends}, "),
                   ("systems", "settle: 100ms}\n  books", closes))
    desk.crm("UPDATE crm.company SET archived_at = now() WHERE type = 'customer'")
    held = desk.push("erp_companies")
    assert [(trip.what, trip.count, trip.of) for trip in held.tripped] == [("archives", 40, 40)]
    assert (held.exit_code, desk.erp.one("SELECT count(*) FROM customer WHERE closed IS NULL")) == (3, 40)
    assert push_flow(desk.hub, "erp_companies", full=True).exit_code == 3
    done = push_flow(desk.hub, "erp_companies", approved=True).counts
    assert done["deleted" if ends == "delete" else "archived"] == 40


def test_few_records_that_are_archived_here_end_there(both: Both) -> None:
    desk = guarded(both, "creates: 30%", ("flows/erp", "write: {", "write: {archived: delete, "))
    desk.crm("UPDATE crm.company SET archived_at = now() WHERE id IN (SELECT id FROM crm.company ORDER BY id LIMIT 8)")
    assert desk.push("erp_companies").counts["deleted"] == 8


def test_what_was_changed_here_and_back_is_no_change(both: Both) -> None:
    desk = guarded(both, "updates: 30%")
    for city in ("X", "Nice"):
        desk.crm("UPDATE crm.company SET city = %s", city)
    desk.crm("UPDATE crm.company SET city = 'Metz' WHERE name = 'C1'")
    assert preview_flow(desk.hub, "erp_companies").result.exit_code == 0
    sent = desk.push("erp_companies")
    assert (sent.tripped, sent.counts["updated"], sent.counts["unchanged"]) == ([], 1, 39)
    assert desk.erp(CITIES) == [("Metz", 1), ("Nice", 39)]


def test_what_a_run_found_to_be_sent_and_was_changed_back_since_is_no_change(both: Both) -> None:
    desk = guarded(both, "updates: 30%")
    desk.crm("UPDATE crm.company SET city = 'X'")
    assert desk.run("erp_companies", full=True).exit_code == 3
    assert desk.one("SELECT count(*) FROM sync.crosswalk_company WHERE pending IS NOT NULL") == 40
    desk.crm("UPDATE crm.company SET city = 'Nice'")
    assert desk.push("erp_companies").exit_code == 0


def test_what_is_to_be_put_right_there_counts(both: Both) -> None:
    desk = guarded(both, "updates: 30%")
    desk.crm("UPDATE crm.company SET segment_note = 'ours'")
    push_flow(desk.hub, "erp_companies", approved=True)
    desk.erp("UPDATE customer SET note = 'theirs'")
    assert desk.run("erp_companies").exit_code == 3
    assert [(trip.what, trip.count) for trip in desk.push("erp_companies").tripped] == [("updates", 40)]
    assert desk.erp.one("SELECT count(*) FROM customer WHERE note = 'theirs'") == 40


def test_records_that_are_not_for_the_system_are_none_that_would_be_made_there(both: Both) -> None:
    desk = guarded(both, "creates: 30%")
    desk.crm("INSERT INTO crm.company (name, type) SELECT 'P' || n, 'prospect' FROM generate_series(1, 100) n")
    desk.crm("INSERT INTO crm.company (name, type) VALUES ('New', 'customer')")
    sent = desk.push("erp_companies")
    assert (sent.tripped, sent.counts["created"]) == ([], 1)
    desk.crm("UPDATE crm.company SET type = 'customer' WHERE type = 'prospect'")
    held = desk.push("erp_companies")
    assert [(trip.what, trip.count, trip.of) for trip in held.tripped] == [("creates", 100, 41)]


def test_records_that_rows_may_be_which_wait_are_none_that_would_be_made_there(both: Both) -> None:
    desk = guarded(both, "creates: 30%", ("flows/erp", "match: [siret]", "match: [siret, [name, city]]"))
    desk.crm("INSERT INTO crm.company (name, type, city) "
             "SELECT 'H' || n, 'customer', 'Lyon' FROM generate_series(1, 20) n")
    parent = desk.erp.one("INSERT INTO customer (name) VALUES ('') RETURNING id")
    desk.erp("INSERT INTO customer (name, city, parent_id) "
             "SELECT 'H' || n, 'Lyon', %s FROM generate_series(1, 20) n", parent)
    result = desk.run("erp_companies")
    assert result.sent is not None
    assert (result.total("parked"), result.exit_code, result.sent.counts["waiting"]) == (20, 0, 20)


def test_what_differs_of_a_system_that_was_adopted_is_all_that_counts(both: Both) -> None:
    desk = both.remade(("flows/erp", "write:", "guard: {updates: 30%}\nwrite:"),
                       ("flows/erp", "match: [siret]", "match: [name]"))
    desk.erp(ROWS)
    desk.crm("INSERT INTO crm.company (name, type, city) "
             "SELECT 'C' || n, 'customer', 'Nice' FROM generate_series(1, 40) n")
    desk.crm("UPDATE crm.company SET website = 'https://one.example' WHERE name = 'C1'")
    adopt_flow(desk.hub, "erp_companies")
    assert desk.push("erp_companies").tripped == []
    assert desk.erp("SELECT name FROM customer WHERE website IS NOT NULL") == [("C1",)]


def test_what_is_held_behind_a_run_is_told_by_it_and_by_who_asks_how_things_stand(
    both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = guarded(both, "updates: 30%")
    monkeypatch.setattr("pipelines.hub.open_hub", lambda *_: desk.hub)
    app = whole()
    desk.crm("UPDATE crm.company SET city = 'X' WHERE name = 'C1'")
    sends = CliRunner().invoke(app, ["run", "erp_companies"])
    assert (sends.exit_code, sends.stdout.count("erp_companies")) == (0, 2)  # what came in, and what was sent
    desk.crm("UPDATE crm.company SET city = 'Y'")
    why = "erp_companies: nothing was sent: company: 40 records would change there, beside 40 known; the guard allows 30%."
    todo = "  -> navette push erp_companies --approve sends it."
    for command, code in (["run", "erp_companies"], 3), (["status"], 0), (["outbox", "erp_companies"], 0):
        told = CliRunner().invoke(app, command)
        lines = [row.rstrip() for row in told.stdout.splitlines()]
        assert (told.exit_code, why in lines, todo in lines) == (code, True, True), told.stdout
    [one] = [one for one in status(desk.hub) if one.flow == "erp_companies"]
    assert one.needs_someone
    assert todo.removeprefix("  -> ") in needs(one)
    assert CliRunner().invoke(app, ["push", "erp_companies", "--approve"]).exit_code == 0
    for command in ["status"], ["outbox"], ["run", "erp_companies"]:
        told = CliRunner().invoke(app, command)
        assert (told.exit_code, "--approve" in told.stdout) == (0, False)


def test_of_several_runs_the_one_that_waits_in_review_tells_the_state(both: Both) -> None:
    held = PushResult(3, "erp_companies", "erp", tripped=[Tripped("updates", "company", 40, 40, 0.3)])
    sent = RunResult(2, "erp_companies", "done", 0.1, {}, sent=held)
    asks = RunResult(1, "books_companies", "review", 0.1, {})
    assert {summed(None, results)["state"] for results in ([sent, asks], [asks, sent])} == {"review"}
