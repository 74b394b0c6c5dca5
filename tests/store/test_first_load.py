"""A first load does not write down what all its rows have in common; whatever asks for it still gets it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection

from pipelines.runs import applying
from pipelines.runs.applying import Apply
from pipelines.runs.lanes import Lanes
from pipelines.runs.settling import settle_run
from pipelines.stages import first_load
from tests.road_desk import Road, roads, told
from tests.store.test_road_races import siret

COMPANIES = """
flow: companies
system: erp
read: {full: true}
guard: {rejects: 50%}
into:
  entity: company
  key: CODE
  match: [siret]
  fields: {name: {from: NAME, required: true}, siret: SIRET}
"""
module_road, road = roads({"companies": COMPANIES})
HEAD = "CODE;NAME;SIRET"


def rows(*numbers: int) -> list[str]:
    return [f"C{number};Company {number};{siret(number)}" for number in numbers]


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of 15 rows and batches of 10."""
    monkeypatch.setattr("pipelines.stages.land.PAGE_ROWS", 15)
    monkeypatch.setattr(applying, "BATCH_ROWS", 10)


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The staging tables whose fates were written."""
    names: list[str] = []
    write = first_load.write_fates

    def noted(connection: Connection, tables: Any) -> None:
        names.append(tables.fate.name)
        write(connection, tables)

    for module in ("pipelines.runs.deciding", "pipelines.runs.applying", "pipelines.stages.decide"):
        monkeypatch.setattr(f"{module}.write_fates", noted)
    return names


@contextmanager
def refusing(road: Road, name: str) -> Iterator[None]:
    """The store takes no company of this name."""
    road.owner(f"ALTER TABLE crm.company ADD CONSTRAINT no_such CHECK (name <> '{name}')")
    try:
        yield
    finally:
        road.owner("ALTER TABLE crm.company DROP CONSTRAINT no_such")


def test_rows_that_are_all_new_have_no_fate(road: Road, batches: None, written: list[str]) -> None:
    assert road.counts("companies", HEAD, *rows(*range(95))) == {"created": 95}
    assert not written
    assert len(set(road.names())) == 95
    assert road.counts("companies", HEAD, *rows(*range(100))) == {"created": 5, "unchanged": 95}


def test_rows_that_lack_some_numbers_are_cut_into_batches(road: Road, batches: None, written: list[str]) -> None:
    lines = rows(*range(60))
    for place in (0, 17, 18, 59):
        lines[place] = f"C{place};;{siret(place)}"
    assert road.counts("companies", HEAD, *lines) == {"created": 56, "rejected": 4}
    assert not written
    assert road.counts("companies", HEAD, *rows(*range(60))) == {"created": 4, "unchanged": 56}
    assert not road.held()


def test_a_lone_batch_writes_them_when_it_is_applied(road: Road, written: list[str]) -> None:
    assert road.counts("companies", HEAD, *rows(*range(5))) == {"created": 5}
    assert len(written) == 1


@pytest.mark.parametrize("lines", [
    [*rows(*range(40)), f"C7;Once more;{siret(7)}"],
    [*rows(*range(40)), f"C99;Another code;{siret(7)}"],
], ids=["key", "twin"])
def test_rows_that_meet_are_decided_one_by_one(road: Road, batches: None, written: list[str], lines: list[str]) -> None:
    expected = {"superseded": 1, "created": 40} if lines[-1].startswith("C7;") else {"created": 39, "review": 2}
    assert road.counts("companies", HEAD, *lines) == expected
    assert len(written) == 1


def test_what_the_store_refuses_is_found_among_new_rows(road: Road, batches: None, written: list[str]) -> None:
    with refusing(road, "Company 23"):
        assert road.counts("companies", HEAD, *rows(*range(60))) == {"created": 59, "rejected": 1}
    assert [(outcome, key) for outcome, key, _ in road.held()] == [("rejected", "C23")]
    assert len(written) == 1
    assert len(road.names()) == 59


def test_older_refusals_are_closed_by_rows_without_a_fate(road: Road, batches: None, written: list[str]) -> None:
    refused = [f"C{number};;{siret(number)}" for number in range(30)]
    run = road.run("companies", HEAD, *refused, state="review")
    settle_run(road.hub, run.run_id, approve=True)
    assert len(road.held()) == 30
    written.clear()
    assert road.counts("companies", HEAD, *rows(*range(30))) == {"created": 30}
    assert not road.held()
    assert not written


def test_a_first_load_that_the_guard_stops_is_approved(road: Road, batches: None, written: list[str]) -> None:
    lines = [*rows(*range(15)), *[f"D{number};;" for number in range(20)]]
    run = road.run("companies", HEAD, *lines, state="review")
    assert told(run) == {"created": 15, "rejected": 20}
    assert told(settle_run(road.hub, run.run_id, approve=True)) == {"created": 15, "rejected": 20}
    assert len(road.names()) == 15
    assert written


@pytest.mark.parametrize("round_", [1, 2])
def test_a_first_load_that_dies_goes_on(road: Road, batches: None, written: list[str], monkeypatch: pytest.MonkeyPatch,
                                        round_: int) -> None:
    """In its first or second round of lanes, and again while it goes on row by row."""
    deaths = iter(range(round_))
    create, write = Lanes.create, Apply._write_fates

    def dies(self: Lanes, *arguments: Any) -> bool:
        if next(deaths, None) is None:
            raise KeyboardInterrupt
        return create(self, *arguments)

    def dies_after(self: Apply, number: int) -> None:
        write(self, number)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Lanes, "create", dies)
        with pytest.raises(KeyboardInterrupt):
            road.run("companies", HEAD, *rows(*range(130)), name="one.csv")
    monkeypatch.setattr(Lanes, "fit", lambda *_: False)
    with monkeypatch.context() as patched:
        patched.setattr(Apply, "_write_fates", dies_after)
        with pytest.raises(KeyboardInterrupt):
            road.run("companies", HEAD, *rows(*range(130)), name="one.csv")
    first = road.run_all("companies", [HEAD, *rows(*range(130))], name="one.csv")[0]
    assert told(first) == {"created": 130}
    assert len(set(road.names())) == len(road.names()) == 130
    assert len(written) == 2
