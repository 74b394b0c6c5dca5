"""Reviews: rows with their candidates, runs that the guard stopped, conflicts and their decision."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text

from crm_store import hub_tables as tables
from crm_store.store import Store
from mappings.errors import ConfigurationError, StoreError
from mappings.language.project import Project
from pipelines.ops.conflicts import settle_conflict
from pipelines.ops.rejects import open_counts
from pipelines.ops.reviews import reviews
from pipelines.runs.intake import run_flow
from pipelines.runs.lines import result_of
from pipelines.runs.settling import settle_row, settle_run
from tests.acceptance.ops_desk import HEADER, OpsDesk, customer, make_desk

pytestmark = pytest.mark.slow


@pytest.fixture
def desk(tmp_path: Path, new_store: Callable[[Project], Store]) -> OpsDesk:
    return make_desk(tmp_path, new_store)


def test_an_ambiguous_row_shows_its_candidates_and_goes_to_the_one_chosen(desk: OpsDesk) -> None:
    ids = [row[0] for row in desk.crm(
        "INSERT INTO crm.company (name, postal_code) VALUES ('Garage Petit', '35000'), ('GARAGE PETIT', '35000')"
        " RETURNING id"
    )]
    assert desk.clients("7;Garage Petit;35000").into["company"]["review"] == 1
    (waiting,) = reviews(desk.hub).rows
    assert {record["id"]: record["name"] for record in waiting.candidates} == {
        ids[0]: "Garage Petit", ids[1]: "GARAGE PETIT",
    }
    assert waiting.row.causes[0].code == "ambiguous"
    assert reviews(desk.hub).as_json()["rows"][0]["raw"] == {"ID": "7", "NAME": "Garage Petit", "POSTCODE": "35000"}
    (settled,) = settle_row(desk.hub, waiting.row.id, link=ids[1])
    assert settled.source == "settle of one row"
    assert "One row read from settle of one row" in Path(str(settled.report)).read_text()
    assert not reviews(desk.hub)
    assert desk.clients("7;Garage Petit;35000", "8;Other;75001", number=2).into["company"]["review"] == 0


def test_a_row_that_was_dropped_is_asked_about_again_only_where_other_records_fit(desk: OpsDesk) -> None:
    twins = "INSERT INTO crm.company (name, postal_code) VALUES ('Garage Petit', '35000'), ('GARAGE PETIT', '35000')"
    desk.crm(twins)
    desk.clients("7;Garage Petit;35000")
    (waiting,) = reviews(desk.hub).rows
    settle_row(desk.hub, waiting.row.id, dismiss=True)
    assert desk.clients("7;Garage Petit;35000", "8;Other;75001", number=2).into["company"]["review"] == 1
    assert not reviews(desk.hub)
    desk.crm(twins)
    desk.clients("7;Garage Petit;35000", "8;Other;75002", number=3)
    (asked,) = reviews(desk.hub).rows
    assert len(asked.candidates) == 4


def test_a_row_that_is_absent_and_asks_shows_the_record_it_was(desk: OpsDesk) -> None:
    desk.clients("7;Garage Petit;35000", "8;Other;75001")
    desk.clients("7;Garage Petit;35000", number=2)
    (waiting,) = reviews(desk.hub).rows
    assert waiting.row.causes[0].code == "gone"
    assert [record["name"] for record in waiting.candidates] == ["Other"]


def test_a_run_that_the_guard_stopped_tells_what_tripped_and_why_rows_would_be_refused(desk: OpsDesk) -> None:
    wrong = [customer(f"C{number}", siret="123") for number in range(30)]
    result = desk.customers(*wrong, customer("G1"))
    assert result.state == "review"
    (run,) = reviews(desk.hub).runs
    assert (run.run_id, run.flow) == (result.run_id, "customers")
    assert run.sentences == ("company: 30 of 31 rows were rejected; the guard allows 50%.",)
    assert run.counts["company"] == {"rows_read": 31, "rejected": 30, "created": 1, "archived": 0, "conflicts": 0}
    assert [(cause.code, cause.count, cause.first_line) for cause in run.causes] == [("not_siret", 30, 2)]
    assert open_counts(desk.hub)["rejected"] == 0  # nothing of it is there before it is approved
    settle_run(desk.hub, run.run_id, approve=True)
    assert not reviews(desk.hub).runs
    assert open_counts(desk.hub)["rejected"] == 30


@pytest.mark.parametrize("approve", [True, False])
def test_the_seconds_of_a_run_that_waited_are_those_of_its_work(desk: OpsDesk, approve: bool) -> None:
    waits = desk.customers(*[customer(f"C{number}", siret="123") for number in range(30)], customer("G1"))
    with desk.hub.engine.begin() as connection:  # it has waited since yesterday
        connection.execute(text("UPDATE sync.run SET started_at = started_at - interval '1 day',"
                                " landed_at = landed_at - interval '1 day'"))
    settled = settle_run(desk.hub, waits.run_id, approve=approve)
    with desk.hub.engine.connect() as connection:
        whole = connection.scalar(text("SELECT extract(epoch FROM ended_at - started_at) FROM sync.run"))
        again = result_of(connection, waits.run_id)
    assert waits.seconds <= settled.seconds == again.seconds < 3_600 < whole


def test_a_run_that_waits_tells_the_conflicts_that_it_would_bring(desk: OpsDesk) -> None:
    desk.customers(customer("C1", PHONE="01 99 00 12 01"))
    desk.crm("UPDATE crm.company SET phone = '+33199001203'")
    waits = desk.customers(customer("C1", PHONE="01 99 00 12 02"), *[customer(f"X{n}", siret="1") for n in range(30)],
                           day="20261121")
    assert (waits.state, waits.into["company"]["conflicts"]) == ("review", 1)
    (run,) = reviews(desk.hub).runs
    assert run.counts["company"]["conflicts"] == 1
    sheet = Path(str(waits.report)).with_suffix(".csv").read_text("utf-8-sig")
    assert f"{run.run_id},customers,company,counter,conflicts,,,1" in sheet
    assert settle_run(desk.hub, run.run_id, approve=True).into["company"]["conflicts"] == 1


@pytest.mark.parametrize(("approve", "where"), [(True, "done"), (False, "failed")])
def test_the_file_of_a_settled_run_leaves_the_drop_folder(desk: OpsDesk, approve: bool, where: str) -> None:
    result = desk.customers(*[customer(f"C{number}", siret="123") for number in range(30)], customer("G1"))
    desk.drop("CLI_FR_20261121.csv", HEADER, customer("G2"))
    settle_run(desk.hub, result.run_id, approve=approve)
    folder = desk.root / "drop" / "erp"
    assert [path.name for path in folder.glob("*.csv")] == ["CLI_FR_20261121.csv"], "the next one waits for its run"
    assert ["CLI_FR_20261120" in path.name for path in (folder / where).iterdir()] == [True]


@pytest.mark.parametrize("approve", [True, False])
def test_a_run_is_settled_from_another_working_directory(
    desk: OpsDesk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, approve: bool
) -> None:
    """Below which there is a file of the same relative path, which is none of its business."""
    desk.drop("CLI_FR_20261120.csv", HEADER, *[customer(f"C{number}", siret="123") for number in range(30)])
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "drop" / "erp").mkdir(parents=True)
    stranger = elsewhere / "drop" / "erp" / "CLI_FR_20261120.csv"
    stranger.write_bytes((desk.root / "drop" / "erp" / stranger.name).read_bytes())
    monkeypatch.chdir(desk.root)
    here = replace(desk.hub, project=replace(desk.hub.project, root=Path()))
    (waits,) = run_flow(here, "customers")
    assert waits.state == "review"
    monkeypatch.chdir(elsewhere)
    settle_run(desk.hub, waits.run_id, approve=approve)
    assert stranger.is_file()
    folder = desk.root / "drop" / "erp"
    assert not [*folder.glob("*.csv")]
    assert len([*(folder / ("done" if approve else "failed")).iterdir()]) == 1


FIELDS: list[tuple[str, dict[str, str], dict[str, str], str, tuple[Any, ...], tuple[Any, ...]]] = [
    ("phone", {"PHONE": "01 99 00 12 01"}, {"PHONE": "01 99 00 12 02"}, "phone = '+33199001203'",
     ("+33199001203",), ("+33199001202",)),
    ("credit_limit", {"CREDIT": "100,00"}, {"CREDIT": "12345678901234567890,12"}, "credit_limit = 5",
     (5, "EUR"), ("12345678901234567890.12", "EUR")),
    ("opened_on", {"SINCE": "01/02/2020"}, {"SINCE": ""}, "opened_on = '2021-03-04'", ("2021-03-04",), (None,)),
    ("tags", {"TAGS": "blue"}, {"TAGS": "blue,red"}, "tags = '{green}'", (["green"],), (["blue", "red"],)),
]


@pytest.mark.parametrize(("field", "first", "then", "edit", "ours", "theirs"), FIELDS, ids=[each[0] for each in FIELDS])
@pytest.mark.parametrize("side", ["ours", "theirs"])
def test_a_decided_conflict_writes_the_value_and_stays_decided(
    desk: OpsDesk, side: Any, field: str, first: dict[str, str], then: dict[str, str], edit: str,
    ours: tuple[Any, ...], theirs: tuple[Any, ...],
) -> None:
    desk.customers(customer("C1", **first))
    desk.crm(f"UPDATE crm.company SET {edit}")
    assert desk.customers(customer("C1", **then), day="20261121").into["company"]["review"] == 1
    (conflict,) = reviews(desk.hub).conflicts
    assert (conflict.field, conflict.key, conflict.record["name"]) == (field, "FR|C1", "Company C1")
    settle_conflict(desk.hub, conflict.id, side, why="asked them")
    assert not reviews(desk.hub)
    columns = "credit_limit, credit_limit_currency" if field == "credit_limit" else field
    (held,) = desk.crm(f"SELECT {columns} FROM crm.company")
    assert [_text(value) for value in held] == [_text(value) for value in (ours if side == "ours" else theirs)]
    again = desk.customers(customer("C1", **then), customer("C2"), day="20261122").into["company"]
    assert (again["unchanged"], again["updated"], again["review"], again["conflicts"]) == (1, 0, 0, 0)
    assert desk.crm(f"SELECT {columns} FROM crm.company WHERE name = 'Company C1'") == [held]


def _text(value: Any) -> Any:
    """Values of different drivers and spellings as one: 5.00 and 5, a date and its text."""
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    return value if value is None or isinstance(value, list) else str(value)


def test_the_loser_of_a_decision_stays_readable_with_who_decided(desk: OpsDesk) -> None:
    desk.customers(customer("C1", PHONE="01 99 00 12 01"))
    desk.crm("UPDATE crm.company SET phone = '+33199001203'")
    desk.customers(customer("C1", PHONE="01 99 00 12 02"), day="20261121")
    (conflict,) = reviews(desk.hub).conflicts
    settle_conflict(desk.hub, conflict.id, "theirs", why="asked them")
    with desk.hub.engine.connect() as connection:
        row = connection.execute(select(tables.conflict)).mappings().one()
        last = connection.execute(select(tables.journal).order_by(tables.journal.c.id.desc()).limit(1)).mappings().one()
    assert (row["state"], row["winner"], row["ours"]) == ("settled", "remote", "+33199001203")
    assert row["decision"]["why"] == "asked them"
    assert (last["system"], last["old"], last["new"]) == (
        "erp", {"phone": "+33199001203"}, {"phone": "+33199001202"},
    )


def test_a_conflict_that_a_newer_one_replaced_cannot_be_decided_by_mistake(desk: OpsDesk) -> None:
    desk.customers(customer("C1", PHONE="01 99 00 12 01"))
    desk.crm("UPDATE crm.company SET phone = '+33199001203'")
    desk.customers(customer("C1", PHONE="01 99 00 12 02"), day="20261121")
    (old,) = reviews(desk.hub).conflicts
    desk.customers(customer("C1", PHONE="01 99 00 12 04"), day="20261122")
    (new,) = reviews(desk.hub).conflicts
    assert (new.id, new.theirs) != (old.id, old.theirs)
    with pytest.raises(ConfigurationError, match=f"conflict {new.id} replaced conflict {old.id}"):
        settle_conflict(desk.hub, old.id, "theirs")
    settle_conflict(desk.hub, new.id, "theirs")
    with pytest.raises(ConfigurationError, match=f"conflict {old.id} is settled"):
        settle_conflict(desk.hub, old.id, "ours")
    assert desk.crm("SELECT phone FROM crm.company") == [("+33199001204",)]


def test_a_value_that_the_store_refuses_by_now_says_so_and_changes_nothing(desk: OpsDesk) -> None:
    desk.customers(customer("C1", PHONE="01 99 00 12 01"))
    desk.crm("UPDATE crm.company SET phone = '+33199001203'")
    desk.customers(customer("C1", PHONE="01 99 00 12 02"), day="20261121")
    (conflict,) = reviews(desk.hub).conflicts
    with desk.store.owner().begin() as connection:
        connection.exec_driver_sql("ALTER TABLE crm.company ADD CONSTRAINT no_twos CHECK (right(phone, 2) <> '02')")
    with pytest.raises(StoreError, match="no_twos"):
        settle_conflict(desk.hub, conflict.id, "theirs")
    assert reviews(desk.hub).conflicts == (conflict,)
