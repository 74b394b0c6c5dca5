"""Spreadsheets: cells as the text that they stand for, headers where they are, sheets by name."""

from __future__ import annotations

import datetime as dt
import re
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter
from xlsxwriter.worksheet import Worksheet

from connectors.file.excel import text_of
from connectors.file.open import open_source
from connectors.page import Source
from mappings.codecs.cells import POINT
from mappings.errors import ConfigurationError, RunStopped, SourceUnreadable
from mappings.language.read import Read
from tests.old_workbook import xls


def opened(
    folder: Path, fill: Callable[[xlsxwriter.Workbook], None], *, said: dict[str, Any] | None = None, **form: Any
) -> Source:
    path = folder / "a.xlsx"
    with xlsxwriter.Workbook(str(path)) as book:
        fill(book)
    return open_source(path, Read.model_validate({"format": {"excel": form}, **(said or {})}))


def rows(source: Source) -> list[list[str]]:
    return [list(row) for page in source.pages() for row in page.frame.itertuples(index=False)]


def table(sheet: Worksheet, lines: list[list[Any]], top: int = 0, left: int = 0) -> None:
    for at, line in enumerate(lines):
        for place, value in enumerate(line):
            sheet.write(top + at, left + place, value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (409.0, "409"), (48931191000132.0, "48931191000132"), (12.5, "12.5"), (0.1 + 0.2, "0.3"), (-0.0, "0"),
        (1e-7, "0.0000001"), (1e20, "100000000000000000000"), (True, "true"), (False, "false"), (7, "7"), (None, ""),
        ("00123", "00123"), (dt.date(2026, 11, 22), "2026-11-22"), (dt.time(3, 4), "03:04:00"),
        (dt.datetime(2026, 11, 22, 3, 4, 5), "2026-11-22 03:04:05"), (dt.timedelta(days=1, hours=12), "36:00:00"),
    ],
)
def test_a_cell_is_the_text_that_it_stands_for(value: Any, text: str):
    assert text_of(value) == text


def test_cells_of_every_kind_come_through_a_real_workbook(tmp_path: Path):
    def fill(book: xlsxwriter.Workbook) -> None:
        sheet, day = book.add_worksheet(), book.add_format({"num_format": "dd/mm/yyyy"})
        table(sheet, [["A", "B", "C", "D", "E", "F"]])
        sheet.write_number(1, 0, 1000, book.add_format({"num_format": "00000"}))
        sheet.write_datetime(1, 1, dt.datetime(2020, 2, 29), day)
        sheet.write_boolean(1, 2, True)
        sheet.write_formula(1, 3, "=1+1", None, 2)
        sheet.write_string(1, 4, "#N/A")
        sheet.write_string(1, 5, "=1+1")

    assert rows(opened(tmp_path, fill)) == [["1000", "2020-02-29", "true", "2", "#N/A", "=1+1"]]


def unsaved(folder: Path, cell: str, *, wanted: Sequence[str] = (), prefix: str = "", **form: Any) -> Source:
    """Three rows, with formulas beside the second and alone in the third, in cells as some program writes them."""
    path, part = folder / "a.xlsx", "xl/worksheets/sheet1.xml"
    with xlsxwriter.Workbook(str(path)) as book:
        sheet = book.add_worksheet()
        table(sheet, [["A", "B", "C"], ["1", 10, "x"], ["2", "", "y"]])
        sheet.write_formula(2, 1, "=A3*2", None, "")
        sheet.write_formula(3, 1, "=A4&2", None, "")
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name).decode() for name in archive.namelist()}
    parts[part] = re.sub("<c r=\"(B\\d)\"><f>(.*?)</f><v></v></c>", lambda found: cell.format(*found.groups()), parts[part])
    if prefix:
        parts[part] = re.sub(r"<(/?)(\w)", rf"<\1{prefix}:\2", parts[part]).replace("xmlns=", f"xmlns:{prefix}=")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return open_source(path, Read.model_validate({"format": {"excel": form}}), columns_wanted=wanted)


def damaged(source: Source) -> list[tuple[int, int, str, str]]:
    names = ["row", "line", "code", "params"]
    return [tuple(row) for page in source.pages() for row in page.damaged[names].itertuples(index=False)]


@pytest.mark.parametrize("prefix", ["", "x"])
@pytest.mark.parametrize("cell", [
    '<c r="{0}"><f>{1}</f></c>', '<c r="{0}"><f>{1}</f><v/></c>', '<c r="{0}" s="0"><f>{1}</f><v></v></c>',
    '<c r="{0}" t="str"><f>{1}</f></c>', '<c s="0"\nr="{0}"> <f t="shared" si="0"/>\n<v />\n</c >',
])
def test_a_formula_without_its_result_is_no_blank(tmp_path: Path, cell: str, prefix: str):
    source = unsaved(tmp_path, cell, prefix=prefix)
    assert damaged(source) == [(2, 3, "formula", '{"column":"B"}'), (3, 4, "formula", '{"column":"B"}')]
    assert rows(source) == [["1", "10", "x"]]
    ranged = unsaved(tmp_path, cell, prefix=prefix, range="B1:C3")
    assert damaged(ranged) == [(2, 3, "formula", '{"column":"B"}')]


def test_a_formula_whose_result_is_an_empty_text_is_a_blank(tmp_path: Path):
    source = unsaved(tmp_path, '<c r="{0}" t="str"><f>{1}</f><v></v></c>')
    assert (damaged(source), rows(source)) == ([], [["1", "10", "x"], ["2", "", "y"]])


def test_a_formula_without_its_result_harms_no_row_of_which_it_is_not_read(tmp_path: Path):
    cell = '<c r="{0}"><f>{1}</f></c>'
    source = unsaved(tmp_path, cell, wanted=["A", "C"])
    assert (damaged(source), rows(source)) == ([], [["1", "10", "x"], ["2", "", "y"]])
    assert [line for _, line, _, _ in damaged(unsaved(tmp_path, cell, wanted=["A", "2"]))] == [3, 4]


def test_a_formula_without_its_result_harms_no_trailer_and_no_row_of_another_type(tmp_path: Path):
    path = tmp_path / "a.xlsx"
    with xlsxwriter.Workbook(str(path)) as book:
        sheet = book.add_worksheet()
        table(sheet, [["K", "A", "B"], ["C", "1"], ["X", "2"], ["", "3", "no type"], ["C", "4", "good"], ["T", "3"]])
        for cell in ("C2", "C3", "A4", "C6"):
            sheet.write_formula(cell, "=1+1", None, "")
    read = {"format": "excel", "records": {"by": "K", "use": "C"}, "trailer": {"by": "K", "is": "T", "rows": "A"}}
    source = open_source(path, Read.model_validate(read), columns_wanted=["A", "B"])
    assert damaged(source) == [(1, 2, "formula", '{"column":"B"}'), (2, 4, "formula", '{"column":"K"}')]
    assert rows(source) == [["C", "4", "good"]]


@pytest.mark.parametrize("error", ["#N/A", "#REF!", "#DIV/0!", "#VALUE!", "#NAME?", "#NUM!", "#NULL!"])
def test_an_error_is_no_text_and_no_blank(tmp_path: Path, error: str):
    def fill(book: xlsxwriter.Workbook) -> None:
        sheet = book.add_worksheet()
        table(sheet, [["A", "B"], ["1", "x"], ["2", error], ["3"]])
        sheet.write_formula(3, 1, "=OTHER!A1", None, error)
        sheet.write_formula(4, 1, "=OTHER!A2", None, error)

    source = opened(tmp_path, fill)
    said = f'{{"column":"B","error":"{error}"}}'
    assert damaged(source) == [(3, 4, "cell_error", said), (4, 5, "cell_error", said)]
    assert [list(page.damaged["raw"]) for page in source.pages()] == [[f"3\t{error}", f"\t{error}"]]
    assert rows(source) == [["1", "x"], ["2", error]]  # what somebody typed is a text
    unread = open_source(tmp_path / "a.xlsx", Read(), columns_wanted=["A"])
    assert (damaged(unread), rows(unread)) == ([], [["1", "x"], ["2", error], ["3", ""]])


def test_an_error_in_place_of_the_record_type_damages_a_row_and_in_other_types_none(tmp_path: Path):
    def fill(book: xlsxwriter.Workbook) -> None:
        sheet = book.add_worksheet()
        table(sheet, [["K", "B"], ["C", "x"], ["", "y"], ["D"]])
        sheet.write_formula(2, 0, "=NA()", None, "#N/A")
        sheet.write_formula(3, 1, "=NA()", None, "#N/A")

    source = opened(tmp_path, fill, said={"records": {"by": "K", "use": "C"}})
    assert damaged(source) == [(2, 3, "cell_error", '{"column":"K","error":"#N/A"}')]
    assert rows(source) == [["C", "x"]]


def test_formulas_without_results_in_cells_without_a_place_refuse_the_sheet(tmp_path: Path):
    with pytest.raises(SourceUnreadable, match="formulas without their results"):
        rows(unsaved(tmp_path, "<c><f>{1}</f></c>"))


def test_empty_rows_are_no_rows_wherever_they_are(tmp_path: Path):
    def fill(book: xlsxwriter.Workbook) -> None:
        sheet, bold = book.add_worksheet(), book.add_format({"bold": True})
        table(sheet, [["A", "B"], ["1", "x"], [], ["2", "y"]])
        for row in range(4, 20_000):
            sheet.write_blank(row, 0, None, bold)
        sheet.write_string(20_000, 1, "")

    source = opened(tmp_path, fill)
    assert rows(source) == [["1", "x"], ["2", "y"]]
    page = next(iter(source.pages()))
    assert (list(page.frame.index), list(page.lines)) == ([1, 2], [2, 4])


def test_merged_and_equal_headers_are_told_apart(tmp_path: Path):
    def fill(book: xlsxwriter.Workbook) -> None:
        sheet = book.add_worksheet()
        headers, row = ["Code", "", "", "Nom", "Nom", ""], ["1", "a", "b", "c", "d", "e"]
        table(sheet, [["report of today"], [], headers, row], left=1)
        sheet.merge_range(2, 2, 2, 3, "Adresse")

    source = opened(tmp_path, fill, header=3)
    assert source.columns == ("1", "Code", "Adresse", "Adresse#2", "Nom", "Nom#2", "7")
    assert rows(source) == [["", "1", "a", "b", "c", "d", "e"]]
    assert source.detected["sheet"] == "Sheet1"


def test_headers_may_be_none_and_data_may_lie_in_a_range_below_a_gap(tmp_path: Path):
    def fill(book: xlsxwriter.Workbook) -> None:
        table(book.add_worksheet(), [["x"], ["-", "A", "B"], ["-", "units", "units"], ["-", "1", "2"], ["-", "3", "4"]])

    assert rows(opened(tmp_path, fill, range="B2:C4", skip=1)) == [["1", "2"]]
    assert opened(tmp_path, fill, range="B2:C4", skip=1).columns == ("A", "B")
    assert rows(opened(tmp_path, fill, header=False, skip=4)) == [["-", "3", "4"]]
    with pytest.raises(ConfigurationError, match="no range"):
        opened(tmp_path, fill, range="B2")


def test_the_sheet_is_the_first_that_holds_something_or_the_one_named(tmp_path: Path):
    def fill(book: xlsxwriter.Workbook) -> None:
        book.add_worksheet("Vide")
        hidden = book.add_worksheet("Listes")
        hidden.hide()
        table(hidden, [["L"], ["1"]])
        table(book.add_worksheet("Employés"), [["E"], ["2"]])

    assert opened(tmp_path, fill).detected["sheet"] == "Employés"
    assert opened(tmp_path, fill, sheet="employés ").columns == ("E",)
    assert opened(tmp_path, fill, sheet=2).columns == ("L",)
    with pytest.raises(ConfigurationError, match="did you mean 'Employés'"):
        opened(tmp_path, fill, sheet="Employes")
    with pytest.raises(ConfigurationError, match="no sheet 4"):
        opened(tmp_path, fill, sheet=4)
    with pytest.raises(SourceUnreadable, match="is empty"):
        opened(tmp_path, fill, sheet="Vide")
    with pytest.raises(ConfigurationError, match="ends before row 9"):
        opened(tmp_path, fill, sheet="Employés", header=9)


def test_a_workbook_without_any_cell_says_so(tmp_path: Path):
    with pytest.raises(SourceUnreadable, match="no sheet of the workbook holds anything"):
        opened(tmp_path, lambda book: book.add_worksheet())


ODS = """<?xml version="1.0"?><office:document-content xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0"
 xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0"
 xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0">
<office:body><office:spreadsheet><table:table table:name="Feuille1">
<table:table-row><table:table-cell office:value-type="string"><text:p>Code</text:p></table:table-cell>
<table:table-cell office:value-type="string"><text:p>Été</text:p></table:table-cell>
<table:table-cell office:value-type="string"><text:p>Jour</text:p></table:table-cell></table:table-row>
<table:table-row table:number-rows-repeated="3"><table:table-cell table:number-columns-repeated="3"/></table:table-row>
<table:table-row><table:table-cell office:value-type="float" office:value="409"><text:p>409</text:p></table:table-cell>
<table:table-cell office:value-type="boolean" office:boolean-value="true"><text:p>VRAI</text:p></table:table-cell>
<table:table-cell office:value-type="date" office:date-value="2026-11-22"><text:p>22/11/26</text:p></table:table-cell>
</table:table-row>
<table:table-row table:number-rows-repeated="1048571"><table:table-cell table:number-columns-repeated="16384"/>
</table:table-row></table:table></office:spreadsheet></office:body></office:document-content>"""


def ods(path: Path, content: str) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr("META-INF/manifest.xml", "<manifest/>")
        archive.writestr("content.xml", content.replace("\n", ""))
    return path


def test_an_ods_sheet_is_read_without_its_million_empty_rows(tmp_path: Path):
    source = open_source(ods(tmp_path / "a.ods", ODS), Read())
    assert source.columns == ("Code", "Été", "Jour")
    assert rows(source) == [["409", "true", "2026-11-22"]]
    assert [int(line) for page in source.pages() for line in page.lines] == [5]


CELL = '<table:table-cell {said}><text:p>{text}</text:p></table:table-cell>'
TEXT = 'office:value-type="string"'
ERROR = TEXT + ' table:formula="of:=NA()" office:string-value=""'


def ods_of(path: Path, *lines: list[tuple[str, str]], more: str = "") -> Path:
    """A sheet of cells (what their tags say, and their text) behind one of another name."""
    made = [f"<table:table-row>{''.join(CELL.format(said=said, text=text) for said, text in line)}</table:table-row>"
            for line in lines]
    head, _, rest = ODS.replace("xmlns:table", 'xmlns:calcext="urn:calcext" xmlns:table').partition("<table:table ")
    other = '<table:table table:name="Autre"><table:table-row>' + CELL.format(said=ERROR, text="#N/A") * 3
    sheet = f'<table:table table:name="R &amp; D">{"".join(made)}{more}</table:table>'
    return ods(path, f"{head}{other}</table:table-row></table:table>{sheet}{rest[rest.index('</office:spread'):]}")


@pytest.mark.parametrize(("said", "text"), [
    (f'{ERROR} calcext:value-type="error"', "#N/A"), (f'{ERROR} calcext:value-type="error"', "#NOM ?"),
    (ERROR, "#DIV/0!"), (ERROR, "Err:508"),
    ('table:formula="of:=1/0" office:value-type="float" office:value="0" calcext:value-type="error"', "#DIV/0!"),
])
def test_an_error_of_an_ods_sheet_is_no_text_and_no_blank(tmp_path: Path, said: str, text: str):
    path = ods_of(tmp_path / "a.ods", [(TEXT, "A"), (TEXT, "B"), (TEXT, "C")], [(TEXT, "1"), (TEXT, "#N/A"), (TEXT, "x")],
                  [(TEXT, "2"), (TEXT, "y"), (said, text)], [(TEXT, "3"), (f'{said} table:number-columns-repeated="2"', text)],
                  more='<table:table-row table:number-rows-repeated="2"><table:table-cell/><table:table-cell'
                       ' table:formula="of:=[.A4]"/></table:table-row>')
    read = Read.model_validate({"format": {"excel": {"sheet": "R & D"}}})
    source = open_source(path, read)
    assert rows(source) == [["1", "#N/A", "x"]]
    assert damaged(source) == [
        (2, 3, "cell_error", f'{{"column":"C","error":"{text}"}}'), (3, 4, "cell_error", f'{{"column":"B","error":"{text}"}}'),
        (4, 5, "formula", '{"column":"B"}'), (5, 6, "formula", '{"column":"B"}')]
    unread = open_source(path, read, columns_wanted=["A"])
    assert (damaged(unread), [row[0] for row in rows(unread)]) == ([], ["1", "2", "3"])


def test_numbers_of_an_ods_sheet_are_numbers_in_every_form(tmp_path: Path):
    forms = ["float", "percentage", 'currency" office:currency="EUR']
    cells = [f'<table:table-cell office:value-type="{form}" office:value="-2.5"><text:p>-2,50</text:p>' for form in forms]
    text = '<table:table-cell office:value-type="string"><text:p>2.5</text:p></table:table-cell>'
    row = re.search("<table:table-row><table:table-cell office:value-type=\"float.*?</table:table-row>", ODS, re.DOTALL)
    assert row is not None
    content = ODS.replace(row[0], f"<table:table-row>{'</table:table-cell>'.join([*cells, ''])}{text}</table:table-row>")
    assert rows(open_source(ods(tmp_path / "a.ods", content), Read())) == [[f"-2{POINT}5"] * 3 + ["2.5"]]


def test_the_sum_of_a_trailer_takes_numbers_as_they_are_and_texts_by_the_decimal_sign(tmp_path: Path):
    trailer = {"trailer": {"by": "K", "is": "T", "sum": {"Q": "Q"}}, "records": {"by": "K", "use": "D"}}

    def read(total: object) -> list[list[str]]:
        lines = [["K", "Q"], ["D", 1.25], ["D", "1.000,5"], ["D", 2], ["T", total]]
        return rows(opened(tmp_path, lambda book: table(book.add_worksheet(), lines), decimal=",", said=trailer))

    assert len(read(1003.75)) == len(read("1003,75")) == 3
    with pytest.raises(RunStopped, match=r"tells a sum of Q of '1003\.7', the file has 1003\.75"):
        read(1003.7)


def test_an_excel_97_workbook_is_read(tmp_path: Path):
    path = tmp_path / "a.xls"
    path.write_bytes(xls("Feuille1", {(0, 0): "Code", (0, 1): "Été", (1, 0): 409.0, (1, 1): "à Orléans", (2, 0): 12.5}))
    source = open_source(path, Read())
    assert (source.columns, source.detected["sheet"]) == (("Code", "Été"), "Feuille1")
    assert rows(source) == [["409", "à Orléans"], [f"12{POINT}5", ""]]


def test_an_error_of_an_excel_97_sheet_is_no_text_and_no_blank(tmp_path: Path):
    def error(code: int) -> tuple[int, bytes]:
        return 0x0205, bytes([code, 1])

    formula = (0x0006, bytes([2, 0, 0x07, 0, 0, 0, 0xFF, 0xFF, 0, 0, 0, 0, 0, 0, 2, 0, 0x1C, 0x07]))
    no = (0x0205, bytes([0, 0]))
    path = tmp_path / "a.xls"
    path.write_bytes(xls("S", {
        (0, 0): "A", (0, 1): "B", (1, 0): "1", (1, 1): "#N/A", (2, 0): "2", (2, 1): error(0x2A), (3, 0): "3", (3, 1): formula,
        (4, 0): error(0x17), (4, 1): "x", (5, 0): "5", (5, 1): no,
    }))
    source = open_source(path, Read())
    said = [("B", "#N/A"), ("B", "#DIV/0!"), ("A", "#REF!")]
    assert damaged(source) == [(at, at + 1, "cell_error", f'{{"column":"{column}","error":"{shown}"}}')
                               for at, (column, shown) in enumerate(said, 2)]
    assert rows(source) == [["1", "#N/A"], ["5", "false"]]
    assert [line for _, line, _, _ in damaged(open_source(path, Read(), columns_wanted=["A"]))] == [5]
