"""`aliases: true`: several keys may be one record, also where all of them come in one run."""

from __future__ import annotations

import pytest

from mappings.errors import StoreError
from pipelines.runs import applying, small
from pipelines.runs.orders import quiet
from pipelines.runs.preview import preview_flow
from pipelines.runs.unfinished import finish_unfinished
from pipelines.stages import land
from tests.road_desk import Road, roads, told

pytestmark = pytest.mark.slow

FLOW = """
flow: accounts
system: erp
into:
  entity: company
  key: CODE
  aliases: true
  match: [siret, [name, postal_code], {on: customer_code, unless: vat_number}]
  fields:
    name: NAME
    postal_code: ZIP
    siret: {from: SIRET, as: text}
    customer_code: NO
    vat_number: {from: VAT, as: text}
    parent: {from: GROUP, refers: company}
"""
FLOWS = {
    "accounts": FLOW,
    "plain": FLOW.replace("accounts", "plain").replace("    parent: {from: GROUP, refers: company}\n", ""),
    "whole": FLOW.replace("accounts", "whole").replace("system: erp", "system: erp\nread: {full: true}"),
}
module_road, road = roads(FLOWS)
HEAD = "CODE;NAME;SIRET;GROUP;ZIP;NO;VAT"


def row(code: str, siret: str = "", group: str = "", name: str = "Alpha", rest: str = ";;") -> str:
    return f"{code};{name};{siret};{group};{rest}"


def records(road: Road) -> list[list[str]]:
    """The keys of each record, the primary one first; by their order."""
    return [keys for (keys,) in road.hub_sees(
        "SELECT array_agg(key ORDER BY is_primary DESC, key) FROM sync.crosswalk_company GROUP BY record_id ORDER BY 1")]


@pytest.mark.parametrize("flow", ["accounts", "plain", "whole"])
def test_two_new_rows_of_one_run_become_one_record(road: Road, flow: str) -> None:
    assert road.counts(flow, HEAD, row("1", "S"), row("2", "S"), row("3", name="Gamma")) == {
        "created": 2, "unchanged": 1}
    lines = [row("1", "S"), row("2", "S"), row("3", name="Gamma"), row("4", "T"), row("5", "S"), row("6", "T")]
    assert road.counts(flow, HEAD, *lines) == {"created": 1, "unchanged": 5}
    assert records(road) == [["1", "2", "5"], ["3"], ["4", "6"]]
    assert road.counts(flow, HEAD, *lines) == {"unchanged": 6}


@pytest.mark.parametrize("flow", ["accounts", "plain"])
@pytest.mark.parametrize("batch", [1, 2, 3])
def test_so_it_is_batches_apart_also_in_a_first_load_that_could_go_in_lanes(
    road: Road, monkeypatch: pytest.MonkeyPatch, flow: str, batch: int
) -> None:
    monkeypatch.setattr(applying, "BATCH_ROWS", batch)
    monkeypatch.setattr(land, "PAGE_ROWS", 2)
    monkeypatch.setattr(small, "MOST_ROWS", 0)
    assert road.counts(flow, HEAD, *[row(str(number), f"S{number % 4}") for number in range(1, 13)]) == {
        "created": 4, "unchanged": 8}
    assert records(road) == [["1", "5", "9"], ["2", "10", "6"], ["3", "11", "7"], ["4", "12", "8"]]


def test_rows_that_fit_by_different_rules_meet_in_one_record(road: Road) -> None:
    lines = [row("1", "S", name="Alpha"), row("2", "S", name="Beta", rest="59000;;"), row("3", name="Beta", rest="59000;;"),
             row("4", name="Beta", rest="13000;;")]
    assert road.counts("accounts", HEAD, *lines)["created"] == 2
    assert records(road) == [["1", "2", "3"], ["4"]]


def test_strangers_by_unless_stay_apart_whatever_their_number(road: Road) -> None:
    lines = [row("1", rest=";N;A"), row("2", rest=";N;B"), row("3", rest=";N;C"), row("4", rest=";N;B")]
    assert road.counts("accounts", HEAD, *lines) == {"created": 3, "unchanged": 1}
    assert records(road) == [["1"], ["2", "4"], ["3"]]


def test_what_the_first_one_leaves_doubtful_is_asked(road: Road) -> None:
    lines = [row("1", rest=";N;A"), row("2", rest=";N;B"), row("3", rest=";N;")]
    assert road.counts("accounts", HEAD, *lines) == {"created": 2, "review": 1}
    assert road.held() == [("review", "3", "ambiguous")]


@pytest.mark.parametrize("batch", [1, 25_000])
def test_rows_that_wait_for_their_parent_become_one_record_too(
    road: Road, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    monkeypatch.setattr(applying, "BATCH_ROWS", batch)
    lines = [row("1", "S", "9"), row("2", "S", "9"), row("3", "S", "9"), row("9", "P", name="Group")]
    assert road.counts("accounts", HEAD, *lines) == {"created": 2, "unchanged": 2}
    assert records(road) == [["1", "2", "3"], ["9"]]


def test_rows_that_hang_on_each_other_become_one_record_too(road: Road) -> None:
    lines = [row("1", "S", "9"), row("9", "P", "1", name="Group"), row("2", "S", "9"), row("3", "S", "9")]
    assert road.counts("accounts", HEAD, *lines) == {"created": 2, "unchanged": 2}
    assert records(road) == [["1", "2", "3"], ["9"]]
    assert road.links() == {"Alpha": "Group", "Group": "Alpha"}
    assert road.counts("accounts", HEAD, *lines) == {"unchanged": 4}


def test_preview_counts_one_record(road: Road) -> None:
    path = road.write("accounts.csv", [HEAD, row("1", "S"), row("2", "S"), row("3", "S", "9"), row("9", "P", name="Group")])
    seen = preview_flow(road.hub, "accounts", file=path)
    assert told(seen.result) == {"created": 2, "unchanged": 2}
    assert [change["key"] for change in seen.changes] == ["1", "9"]


@pytest.mark.parametrize("key", ["1", "2", "3", "4"])
def test_a_run_that_was_cut_anywhere_carries_on(road: Road, monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    """The server ends the run's own session in the batch in which this key's entry is made."""
    monkeypatch.setattr(applying, "BATCH_ROWS", 1)
    monkeypatch.setattr(small, "MOST_ROWS", 0)
    lines = [row("1", "S"), row("2", "S"), row("3", "T"), row("4", "S")]
    road.superuser("CREATE OR REPLACE FUNCTION public.cut() RETURNS trigger LANGUAGE plpgsql AS"
                   " 'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END'")
    road.superuser("CREATE TRIGGER cut AFTER INSERT ON sync.crosswalk_company FOR EACH ROW"
                   f" WHEN (NEW.key = '{key}') EXECUTE FUNCTION public.cut()")
    try:
        with pytest.raises(StoreError):
            road.run("accounts", HEAD, *lines)
    finally:
        road.superuser("DROP TRIGGER cut ON sync.crosswalk_company")
    finish_unfinished(road.hub, road.hub.flow("accounts"), quiet)
    ended = road.hub_sees("SELECT state, created, updated, unchanged FROM sync.run JOIN sync.run_into ON run_into.run_id = run.id")
    assert ended == [("done", 2, 0, 2)]
    assert records(road) == [["1", "2", "4"], ["3"]]


def test_where_the_store_refuses_the_first_one_the_next_makes_the_record(road: Road) -> None:
    road.superuser("ALTER TABLE crm.company ADD CONSTRAINT no_bad CHECK (name <> 'Bad')")
    try:
        assert road.counts("accounts", HEAD, row("1", "S", name="Bad"), row("2", "S"), row("3", "S")) == {
            "created": 1, "unchanged": 1, "rejected": 1}
    finally:
        road.superuser("ALTER TABLE crm.company DROP CONSTRAINT no_bad")
    assert records(road) == [["2", "3"]]
