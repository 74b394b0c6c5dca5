"""Spreadsheets and other tables on the road: what a cell is counts, beside what it shows; and which columns there are."""

from __future__ import annotations

import unicodedata
from decimal import Decimal
from pathlib import Path
from typing import Literal

import pytest
import python_calamine
import xlsxwriter

from mappings.language.project import require_project
from pipelines.ops.export import export_held
from pipelines.ops.rejects import open_rows
from pipelines.runs.intake import run_flow
from pipelines.runs.replay import replay
from tests.road_desk import Road, roads, told

PRICES = """
flow: {flow}
system: erp
read: {{format: {{excel: {form}}}, derive: {{shown: {{first: [PRICE, CODE]}}}}}}
into:
  entity: product
  key: CODE
  fields:
    price: {{from: PRICE, currency: EUR{own}}}
    cost_price: {{from: shown, currency: EUR{own}}}
    stock: {{compute: "PRICE * 2"{own}}}
    name: PRICE
    created_on: DAY
guard: {{rejects: 100%}}
"""
FLOWS = {
    "pinned": PRICES.format(flow="pinned", form='{decimal: ","}', own=""),
    "own": PRICES.format(flow="own", form="{}", own=', decimal: ","'),
    "neither": PRICES.format(flow="neither", form="{}", own=""),
}
FLOWS["headed"] = """
flow: headed
system: erp
read: {format: {csv: {delimiter: ";"}}}
into: {entity: company, key: CODE, fields: {name: NAME, city: Localité}}
"""
FLOWS["stock"] = """
flow: stock
system: erp
read: {files: "STOCK_{day:%Y%m%d}.xlsx", full: true}
into: {entity: company, key: CODE, absent: archive, fields: {name: NAME, notes: NOTES}}
guard: {rejects: 100%, archives: 100%}
"""
module_road, road = roads(FLOWS)
CELLS = [1.234, 2.5, "1.234", "1,5", -0.125, 3]
READ = ["1.234", "2.5", "1234", "1.5", "-0.125", "3"]


def sheet(path: Path, *rows: tuple[object, ...], head: tuple[str, ...] = ("CODE", "PRICE", "DAY")) -> Path:
    path.parent.mkdir(exist_ok=True)
    with xlsxwriter.Workbook(str(path)) as book:
        page = book.add_worksheet("S")
        for at, row in enumerate([head, *rows]):
            page.write_row(at, 0, row)
    return path


def prices(road: Road, column: str = "price") -> list[Decimal]:
    return [row[0] for row in road.hub_sees(f"SELECT {column} FROM crm.product ORDER BY id")]


@pytest.mark.parametrize("flow", ["pinned", "own"])
def test_a_decimal_sign_is_of_numbers_that_stand_as_text_and_of_no_cell_that_is_one(road: Road, flow: str) -> None:
    rows = [(f"P{at}", cell, "") for at, cell in enumerate(CELLS)]
    assert told(run_flow(road.hub, flow, file=sheet(road.root / "files" / "a.xlsx", *rows))[-1], "product") == {
        "created": len(rows)}
    assert prices(road) == prices(road, "cost_price") == [Decimal(text) for text in READ]
    assert prices(road, "stock") == [Decimal(text) * 2 for text in READ]
    shown = road.hub_sees("SELECT name FROM crm.product ORDER BY id")
    assert [row[0] for row in shown] == [str(cell) for cell in CELLS]


@pytest.mark.parametrize("flow", ["pinned", "own"])
def test_cells_that_are_numbers_are_so_in_an_export_and_when_it_comes_back(road: Road, flow: str) -> None:
    rows = [(f"P{at}", cell, "someday") for at, cell in enumerate(CELLS)]
    run_flow(road.hub, flow, file=sheet(road.root / "files" / "a.xlsx", *rows))
    (written,) = export_held(road.hub, flow, road.root / "files" / "back.xlsx")
    head, *lines = python_calamine.load_workbook(str(written.path)).get_sheet_by_index(0).to_python()
    assert [line[1] for line in lines] == [*CELLS[:-1], "3"]  # what is whole is the same as a text
    corrected = [(*line[:2], "2026-11-22", *line[3:]) for line in lines]
    back = sheet(road.root / "files" / "corrected.xlsx", *corrected, head=tuple(map(str, head)))
    assert told(run_flow(road.hub, flow, file=back)[-1], "product") == {"created": len(rows)}
    assert road.held() == []
    assert prices(road) == [Decimal(text) for text in READ]


def test_held_rows_keep_what_their_cells_were_when_the_mapping_gets_a_decimal_sign(road: Road) -> None:
    rows = [("P1", 1.234, "22/11/2026"), ("P2", "1.234", "22/11/2026")]
    run_flow(road.hub, "neither", file=sheet(road.root / "files" / "a.xlsx", *rows))
    assert [code for _, _, code in road.held()] == ["not_date", "not_date"]
    path = road.root / "mappings" / "flows" / "neither.yaml"
    path.write_text(path.read_text().replace("DAY", '{from: DAY, format: "%d/%m/%Y"}').replace("{}", '{decimal: ","}'))
    again = Road(road.root, road.store, require_project(road.root, {}))
    path.write_text(FLOWS["neither"])
    assert told(replay(again.hub, "neither")[-1], "product") == {"created": 2}
    assert prices(road) == [Decimal("1.234"), Decimal("1234")]


def stock(path: Path, errors: str, *rows: tuple[str, ...]) -> Path:
    """A sheet of companies, and behind them one with #N/A in this column."""
    path.parent.mkdir(exist_ok=True)
    with xlsxwriter.Workbook(str(path)) as book:
        page = book.add_worksheet("S")
        for at, row in enumerate([("CODE", "NAME", "NOTES", "REST"), *rows, ("9", "Nine", "", "")]):
            page.write_row(at, 0, row)
        page.write_formula(f"{errors}{len(rows) + 2}", "=NA()", None, "#N/A")
    return path


def test_an_error_in_a_key_is_no_key_and_leaves_open_what_is_gone(road: Road) -> None:
    whole = (("1", "One", ""), ("2", "Two", ""))
    assert told(run_flow(road.hub, "stock", file=stock(road.root / "files" / "STOCK_20261101.xlsx", "D", *whole))[-1]) == {
        "created": 3}  # nothing reads the column with the error
    run = run_flow(road.hub, "stock", file=stock(road.root / "files" / "STOCK_20261102.xlsx", "A", whole[0]))[-1]
    assert told(run) == {"unchanged": 1, "rejected": 1}
    assert road.held() == [("rejected", None, "cell_error")]
    assert road.names() == ["Nine", "One", "Two"]
    assert road.one("SELECT count(*) FROM crm.company WHERE archived_at IS NOT NULL") == 0


def test_a_row_with_an_error_closes_when_its_export_was_put_right(road: Road) -> None:
    run_flow(road.hub, "stock", file=stock(road.root / "files" / "STOCK_20261101.xlsx", "C", ("1", "One", "")))
    (row,) = open_rows(road.hub)
    assert row.causes[0].sentence.startswith("column NOTES shows the error #N/A: put the cell right")
    (written,) = export_held(road.hub, "stock", road.root / "files" / "back.xlsx")
    head, line = python_calamine.load_workbook(str(written.path)).get_sheet_by_index(0).to_python()

    def back(*cells: str) -> Path:
        return sheet(road.root / "files" / "corrected.xlsx", (*cells, *line[4:]), head=tuple(map(str, head)))

    broken = back("9", "Nine", "", "")
    with xlsxwriter.Workbook(str(broken)) as book:  # corrected with a formula that fails too: the same row still
        page = book.add_worksheet("S")
        page.write_row(0, 0, head)
        page.write_row(1, 0, ("9", "Nine", "", "", *line[4:]))
        page.write_formula("C2", "=NA()", None, "#N/A")
    assert told(run_flow(road.hub, "stock", file=broken)[-1]) == {"rejected": 1}
    assert len(road.held()) == 1
    assert told(run_flow(road.hub, "stock", file=back("9", "Nine", "right", ""))[-1]) == {"created": 1}
    assert road.held() == []


def test_columns_that_a_table_lacks_are_told_also_where_its_format_is_pinned(road: Road) -> None:
    told_of = road.run("headed", "CODE;NAME", "1;Bolt").notices
    assert told_of == ["company: the source has no column Localité; the fields that are read from there stay as they are:"
                       " correct the mapping if that is not meant"]


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_headers_meet_columns_of_the_mapping_however_they_are_composed(road: Road, form: Literal["NFC", "NFD"]) -> None:
    done = road.run("headed", unicodedata.normalize(form, "CODE;NAME;Localité"), "1;Bolt;Orléans")
    assert (done.notices, road.companies("city")) == ([], [("Orléans",)])
