"""Reports on disk: after each run, for their owner alone, the last ones of each flow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import insert, select

from crm_store import hub_tables as tables
from crm_store.store import Store
from mappings.errors import RunStopped
from mappings.language.project import Project
from pipelines.ops.reviews import reviews
from pipelines.reports import writing
from pipelines.runs.replay import replay
from pipelines.runs.settling import settle_row
from tests.acceptance.ops_desk import OpsDesk, customer, make_desk

pytestmark = pytest.mark.slow


@pytest.fixture
def desk(tmp_path: Path, new_store: Callable[[Project], Store]) -> OpsDesk:
    return make_desk(tmp_path, new_store)


def test_each_run_leaves_a_page_and_a_csv_that_only_their_owner_reads(desk: OpsDesk) -> None:
    result = desk.customers(customer("C1"), customer("C2", siret="123"), "C3;short")
    assert result.report is not None
    page, folder = Path(result.report), desk.hub.home / "reports"
    assert page == folder / f"run_{result.run_id}.html"
    assert sorted(path.name for path in folder.iterdir()) == ["index.html", page.with_suffix(".csv").name, page.name]
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    assert folder.stat().st_mode & 0o777 == 0o700
    text = page.read_text()
    assert "siret: &#39;123&#39; is not a valid SIRET" in text
    assert "C3;short" in text
    assert "CLI_FR_20261120.csv:3" in text
    assert page.name in (folder / "index.html").read_text()


def test_a_run_in_review_shows_why_its_rows_would_be_refused(desk: OpsDesk) -> None:
    result = desk.customers(*[customer(f"C{n}", siret="123") for n in range(25)], customer("G"))
    assert result.state == "review"
    text = Path(result.report or "").read_text()
    assert "25 of 26 rows were rejected; the guard allows 50%" in text
    assert "siret: &#39;123&#39; is not a valid SIRET" in text
    assert "25 rows (rejected), lines 2 to 26" in text


def test_conflicts_stand_on_the_page_of_their_run(desk: OpsDesk) -> None:
    desk.customers(customer("C1", PHONE="01 99 00 12 01"))
    desk.crm("UPDATE crm.company SET phone = '+33199001203'")
    result = desk.customers(customer("C1", PHONE="01 99 00 12 02"), day="20261121")
    text = Path(result.report or "").read_text()
    assert all(phone in text for phone in ("+33199001201", "+33199001202", "+33199001203"))
    assert "nobody has decided yet" in text


def pages(desk: OpsDesk) -> dict[str, set[str]]:
    """The reports there are, by trigger of their run: the endings of their files."""
    with desk.hub.engine.connect() as connection:
        triggers: dict[int, str] = dict(connection.execute(select(tables.run.c.id, tables.run.c.trigger)).all())
    found: dict[str, set[str]] = {}
    for path in (desk.hub.home / "reports").glob("run_*"):
        found.setdefault(triggers[int(path.stem.removeprefix("run_"))], set()).add(path.suffix)
    return found


def test_rows_that_are_admitted_again_leave_a_page_and_a_csv_too(desk: OpsDesk) -> None:
    desk.customers(customer("C1", siret="123"))
    [replayed] = replay(desk.hub, "customers")
    assert "not a valid SIRET" in Path(replayed.report or "").read_text()
    desk.drop("CON_FR.csv", "ID;NAME;EMAIL;CUSTOMER", "1;Durand;;C2")
    desk.run("contacts")
    desk.customers(customer("C2"), day="20261121")
    desk.crm("INSERT INTO crm.company (name, postal_code) VALUES ('Twin', '35000'), ('TWIN', '35000')")
    desk.clients("7;Twin;35000")
    [waiting] = reviews(desk.hub).rows
    [settled] = settle_row(desk.hub, waiting.row.id, create=True)
    assert settled.report is not None
    assert pages(desk) == {trigger: {".html", ".csv"} for trigger in ("cli", "replay", "retry", "settle")}


def test_a_run_that_is_dropped_for_a_newer_one_no_longer_says_that_it_waits(desk: OpsDesk) -> None:
    dropped = desk.customers(*[customer(f"C{n}", siret="123") for n in range(25)])
    assert dropped.state == "review"
    desk.customers(customer("C1"), day="20261121", supersede=True)
    assert "This run was refused" in Path(dropped.report or "").read_text()


def test_a_landing_that_was_killed_has_a_page_once_the_next_run_has_closed_it(desk: OpsDesk) -> None:
    with desk.hub.engine.begin() as connection:
        killed = connection.execute(
            insert(tables.run).values(flow="customers", system="erp", source="x", mapping="").returning(tables.run.c.id)
        ).scalar_one()
    desk.customers(customer("C1"))
    assert "interrupted while landing" in (desk.hub.home / f"reports/run_{killed}.html").read_text()


def test_only_the_last_reports_of_a_flow_are_kept(desk: OpsDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "KEPT", 2)
    other = desk.clients("7;Petit;59000")
    runs = [desk.customers(customer("C1", NOTES=str(day)), day=f"202611{day}").run_id for day in (20, 21, 22)]
    left = {path.name for path in (desk.hub.home / "reports").glob("run_*")}
    assert left == {f"run_{number}.{kind}" for number in (other.run_id, *runs[1:]) for kind in ("html", "csv")}
    assert f"run_{runs[0]}.html" not in (desk.hub.home / "reports/index.html").read_text()


def test_a_disk_that_refuses_is_told_in_a_sentence(desk: OpsDesk) -> None:
    result = desk.customers(customer("C1"))
    folder = desk.hub.home / "reports"
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    folder.write_text("a file where the folder should be")
    with pytest.raises(RunStopped, match="the report could not be written"):
        writing.write_report(desk.hub, result.run_id)
