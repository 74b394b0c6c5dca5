"""Rejects: seen by cause, exported and corrected, replayed, dismissed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import xlsxwriter
from sqlalchemy import select

from crm_store import hub_tables as tables
from crm_store.store import Store
from mappings.errors import ConfigurationError
from mappings.language.project import Project, require_project
from pipelines.ops.export import export_held
from pipelines.ops.rejects import dismiss, open_causes, open_counts, open_rows, require_replayable
from pipelines.runs.replay import replay
from tests.acceptance.ops_desk import HEADER, OpsDesk, customer, make_desk

pytestmark = pytest.mark.slow


@pytest.fixture
def desk(tmp_path: Path, new_store: Callable[[Project], Store]) -> OpsDesk:
    return make_desk(tmp_path, new_store)


GOOD, WRONG = "99900901200017", "99900903800019"


def faulty_day(desk: OpsDesk) -> None:
    result = desk.customers(
        customer("C1", siret=GOOD), customer("C2", siret=WRONG), customer("C3", siret="123", CREDIT="abc"),
        customer("C4", name=" ", siret=WRONG), "C5;too;few",
    )
    assert result.into["company"]["rejected"] == 4


def test_rejects_are_grouped_by_cause_with_a_sentence_and_their_lines(desk: OpsDesk) -> None:
    faulty_day(desk)
    causes = {(cause.code, cause.field): cause for cause in open_causes(desk.hub, "customers")}
    assert set(causes) == {
        ("not_siret", "siret"), ("not_decimal", "credit_limit"), ("required", "name"), ("columns", ""),
    }
    siret = causes["not_siret", "siret"]
    assert (siret.count, siret.first_line, siret.last_line, siret.into) == (3, 3, 5, "company")
    assert siret.sentence.startswith(f"siret: '{WRONG}' is not a valid SIRET")
    assert causes["columns", ""].sentence == "the line has 3 columns, 9 are expected"
    assert open_counts(desk.hub) == {"rejected": 4, "parked": 0, "review": 0}


def test_single_rows_tell_every_cause_where_they_stood_and_what_they_held(desk: OpsDesk) -> None:
    faulty_day(desk)
    rows = {row.key: row for row in open_rows(desk.hub, "customers")}
    two = rows["FR|C3"]
    assert {(cause.code, cause.value) for cause in two.causes} == {("not_siret", "123"), ("not_decimal", "abc")}
    assert two.where == "CLI_FR_20261120.csv:4"
    assert two.raw is not None
    assert list(two.raw) == HEADER.split(";")
    assert rows[None].raw_text == "C5;too;few"
    assert [row.key for row in open_rows(desk.hub, limit=1)] == ["FR|C2"]


def test_a_flow_that_nobody_knows_is_named_with_those_that_exist(desk: OpsDesk) -> None:
    with pytest.raises(ConfigurationError, match="there is no flow 'customer'") as told:
        open_causes(desk.hub, "customer")
    assert "clients, contacts, customers, sites" in told.value.todo


def test_a_corrected_export_goes_through_and_closes_what_it_corrects(desk: OpsDesk, tmp_path: Path) -> None:
    faulty_day(desk)
    (tmp_path / "out").mkdir()
    (written,) = export_held(desk.hub, "customers", tmp_path / "out")
    assert (written.path.name, written.rows, written.notes) == ("CLI_FR_20261120.csv", 4, ())
    assert written.path.stat().st_mode & 0o777 == 0o600
    text = written.path.read_bytes().decode("cp1252")
    assert text.replace('"', "").startswith(f"{HEADER};navette_reason;")
    assert "C5;too;few" in text  # the damaged line, whole
    written.path.write_bytes(text.replace(WRONG, "99900903800012").replace("abc", "1,5").replace("123", GOOD[:-1])
                             .encode("cp1252"))
    result = desk.run("customers", file=written.path)[-1]
    assert result.into["company"]["created"] == 1  # C2
    assert {row.key for row in open_rows(desk.hub)} == {"FR|C3", "FR|C4", None}
    assert desk.crm("SELECT count(*) FROM crm.company WHERE archived_at IS NOT NULL") == [(0,)]


def test_what_a_spreadsheet_would_execute_is_neutralised_and_comes_back_whole(desk: OpsDesk, tmp_path: Path) -> None:
    formula = '=HYPERLINK("x")&A1'
    desk.customers(customer("C1", siret=WRONG, NOTES='"' + formula.replace('"', '""') + '"', PHONE="+33 1 99 00 12 01"))
    (written,) = export_held(desk.hub, "customers", tmp_path / "out.csv")
    text = written.path.read_text("cp1252")
    assert "'=HYPERLINK" in text
    assert "'+33 1 99 00 12 01" in text
    named = tmp_path / "CLI_FR_20261121.csv"
    named.write_text(text.replace(WRONG, GOOD), "cp1252", newline="")
    desk.run("customers", file=named, full=False)
    assert desk.crm("SELECT notes, phone FROM crm.company") == [(formula, "+33199001201")]


def test_rows_that_take_their_branch_from_the_files_name_do_not_share_a_file(desk: OpsDesk, tmp_path: Path) -> None:
    desk.customers(customer("C1", siret=WRONG), branch="FR", full=False)
    desk.customers(customer("C2", siret=WRONG), branch="BE", full=False)
    written = export_held(desk.hub, "customers", tmp_path / "one.csv")
    assert {each.path.name for each in written} == {"one.1.csv", "one.2.csv"}
    assert all("CLI_" in note for each in written for note in each.notes)
    folder = export_held(desk.hub, "customers")
    assert {each.path.name for each in folder} == {"CLI_FR_20261120.csv", "CLI_BE_20261120.csv"}
    again = export_held(desk.hub, "customers")
    assert {each.path.name for each in again} == {"CLI_FR_20261120.2.csv", "CLI_BE_20261120.2.csv"}


def test_an_export_of_damaged_lines_alone_still_has_the_sources_columns(desk: OpsDesk, tmp_path: Path) -> None:
    path = desk.drop("CLI_FR_20261120.csv", HEADER, customer("C1"), "C5;too;few")
    desk.run("customers", file=path)
    (written,) = export_held(desk.hub, "customers", tmp_path / "out.csv")
    head, row = written.path.read_text("cp1252").replace('"', "").splitlines()
    assert head.startswith(HEADER + ";")
    assert row.startswith(";" * 9 + "the line has 3 columns")


def test_a_row_that_two_entities_refuse_is_corrected_once(desk: OpsDesk, tmp_path: Path) -> None:
    desk.drop("sites_1.csv", "ID;NAME;CITY", "1;;Lille", "2;Two;Lyon", "x;y", system="cmms")
    into = desk.run("sites")[-1].into
    assert (into["company"]["rejected"], into["address"]["rejected"]) == (2, 1)
    (written,) = export_held(desk.hub, "sites", tmp_path / "out.csv")
    lines = written.path.read_text().replace('"', "").splitlines()
    assert (written.rows, len(lines)) == (2, 3)
    assert [len(line.split(";")[7].split()) for line in lines[1:]] == [1, 2]  # navette_id


def test_nothing_open_exports_nothing(desk: OpsDesk, tmp_path: Path) -> None:
    desk.customers(customer("C1"))
    assert export_held(desk.hub, "customers", tmp_path / "out.csv") == []
    assert not (tmp_path / "out.csv").exists()


def test_a_parked_row_says_what_it_waits_for(desk: OpsDesk) -> None:
    desk.customers(customer("C1"))
    desk.drop("CON_FR.csv", "ID;NAME;EMAIL;CUSTOMER", "1;Durand;;C1", "2;Petit;;C9")
    desk.run("contacts")
    (parked,) = open_rows(desk.hub, outcomes=("parked",))
    assert parked.causes[0].sentence == "company: waits for company 'FR|C9' of erp/customers"


def test_dismissed_rows_keep_who_when_and_why(desk: OpsDesk) -> None:
    faulty_day(desk)
    first = open_rows(desk.hub)[0].id
    assert dismiss(desk.hub, ids=[first], why="a test row") == 1
    assert dismiss(desk.hub, flow="customers", cause="not_siret") == 2
    assert {row.causes[0].code for row in open_rows(desk.hub)} == {"columns"}
    with desk.hub.engine.connect() as connection:
        decision = connection.scalar(select(tables.held.c.decision).where(tables.held.c.id == first))
    assert decision["why"] == "a test row"
    assert {"by", "at", "what"} <= set(decision)


def test_a_dismissed_row_that_comes_again_as_it_was_stays_dismissed(desk: OpsDesk) -> None:
    bad, torn, good = customer("C1", siret="123"), "C9;too;short", customer("C2")
    for day in ("20261120", "20261121"):
        told = desk.customers(bad, torn, good, customer(f"D{day}"), day=day).into["company"]
        assert (told["rejected"], len(open_rows(desk.hub))) == (2, 2)
    dismiss(desk.hub, ids=[row.id for row in open_rows(desk.hub)], why="tests of theirs")
    told = desk.customers(good, bad, torn, customer("C3"), day="20261122").into["company"]
    assert (told["rejected"], open_rows(desk.hub)) == (2, [])
    with desk.hub.engine.connect() as connection:
        held = connection.execute(select(tables.held.c.line, tables.held.c.source)).all()
    assert [(line, "20261122" in source) for line, source in sorted(held)] == [(3, True), (4, True)]
    desk.customers(customer("C1", siret="124"), torn, good, day="20261123")
    assert [row.key for row in open_rows(desk.hub)] == ["FR|C1"], "another content is news"


@pytest.mark.parametrize("said", [{}, {"cause": "not_siret"}, {"ids": [1], "flow": "customers", "cause": "x"}])
def test_dismissing_without_saying_which_rows_is_refused(desk: OpsDesk, said: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError, match="which rows"):
        dismiss(desk.hub, **said)  # type: ignore[arg-type]


def test_dismissing_a_row_that_is_not_open_dismisses_none_of_those_named(desk: OpsDesk) -> None:
    faulty_day(desk)
    there = open_rows(desk.hub)[0].id
    with pytest.raises(ConfigurationError, match="row 4711 does not exist"):
        dismiss(desk.hub, ids=[there, 4711])
    assert there in {row.id for row in open_rows(desk.hub)}


def test_rows_that_cannot_be_replayed_are_named(desk: OpsDesk) -> None:
    faulty_day(desk)
    rows = {row.key: row.id for row in open_rows(desk.hub)}
    require_replayable(desk.hub, [rows["FR|C2"]])
    with pytest.raises(ConfigurationError, match="row 4711 does not exist; nothing was replayed"):
        require_replayable(desk.hub, [rows["FR|C2"], 4711])
    with pytest.raises(ConfigurationError, match=f"row {rows[None]} has no columns"):
        require_replayable(desk.hub, [rows["FR|C2"], rows[None]])


def test_a_replay_after_the_mapping_was_put_right_admits_the_rows(desk: OpsDesk) -> None:
    desk.customers(customer("C1", TAGS="blue,pink"))
    assert open_counts(desk.hub)["rejected"] == 1
    path = desk.root / "mappings/flows/customers.yaml"
    known = '{from: TAGS, split: ",", values: {pink: red, blue: blue}}'
    path.write_text(path.read_text().replace('{from: TAGS, split: ","}', known))
    again = OpsDesk(desk.root, desk.store, require_project(desk.root, {}))
    assert replay(again.hub, "customers")[-1].into["company"]["created"] == 1
    assert open_counts(again.hub)["rejected"] == 0
    assert desk.crm("SELECT tags FROM crm.company") == [(["blue", "red"],)]


def test_rows_that_failed_a_replay_are_still_exported_under_a_name_that_fits(desk: OpsDesk) -> None:
    desk.customers(customer("C1", siret=WRONG))
    replay(desk.hub, "customers")
    (written,) = export_held(desk.hub, "customers")
    assert (written.path.name, written.rows, written.notes) == ("CLI_FR_20261120.csv", 1, ())


def test_rejects_of_a_spreadsheet_come_back_as_one(desk: OpsDesk) -> None:
    def sheet(path: Path, *rows: tuple[str, ...]) -> Path:
        with xlsxwriter.Workbook(str(path)) as book:
            page = book.add_worksheet("Contacts")
            for at, row in enumerate([("ID", "NAME", "EMAIL", "CUSTOMER"), *rows]):
                page.write_row(at, 0, row)
        return path

    rows = (("1", "Durand", "no address", ""), ("2", "Petit", "", ""))
    desk.run("contacts", file=sheet(desk.root / "CON_FR.xlsx", *rows))
    (cause,) = open_causes(desk.hub, "contacts")
    assert (cause.code, cause.first_line) == ("not_email", 2)
    (written,) = export_held(desk.hub, "contacts")
    assert written.path.suffix == ".xlsx"
    result = desk.run("contacts", file=written.path)[-1]
    assert (result.rows_read, result.detected["sheet"], result.into["contact"]["rejected"]) == (1, "Contacts", 1)
    assert open_counts(desk.hub)["rejected"] == 1


def test_a_row_with_a_formula_that_was_saved_without_its_result_is_a_reject(desk: OpsDesk) -> None:
    def sheet(result: str) -> Path:
        with xlsxwriter.Workbook(str(desk.root / "CON_FR.xlsx")) as book:
            page = book.add_worksheet("Contacts")
            for at, row in enumerate([("ID", "NAME", "EMAIL", "LENGTH"), ("1", "Durand", ""), ("2", "Petit", "")]):
                page.write_row(at, 0, row)
            page.write_formula("C2", '=B2&"@example.com"', None, result)
            page.write_formula("D3", "=LEN(B3)", None, "")  # no field reads it
        return desk.root / "CON_FR.xlsx"

    assert desk.run("contacts", file=sheet(""))[-1].into["contact"]["created"] == 1
    (row,) = open_rows(desk.hub, "contacts")
    assert (row.line, row.causes[0].code) == (2, "formula")
    assert row.causes[0].sentence.startswith("column EMAIL has a formula whose result was not saved by the program")
    desk.run("contacts", file=sheet("durand@example.com"))
    assert desk.crm("SELECT last_name, email FROM crm.contact ORDER BY last_name") == [
        ("Durand", "durand@example.com"), ("Petit", None)]
