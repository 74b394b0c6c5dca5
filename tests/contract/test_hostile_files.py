"""Files as they should not be: each is read as far as it can be, or refused with a sentence."""

from __future__ import annotations

import json
import struct
import zipfile
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter

from connectors.file.lost_cells import lost_cells
from connectors.file.open import open_source
from connectors.page import Source
from mappings.errors import ConfigurationError, NavetteError, RunStopped, SourceUnreadable
from mappings.language.read import Read

Row = list[str]
Damage = tuple[int, int, str, str]


def opened(folder: Path, content: bytes, name: str = "a.csv", **read: Any) -> Source:
    path = folder / name
    path.write_bytes(content)
    return open_source(path, Read.model_validate(read))


def rows(source: Source) -> list[Row]:
    return [list(row) for page in source.pages() for row in page.frame.itertuples(index=False)]


def damaged(source: Source) -> list[Damage]:
    """(row, line, code, raw) of every damaged line."""
    return [
        (int(one.row), int(one.line), one.code, one.raw)
        for page in source.pages() for one in page.damaged.itertuples(index=False)
    ]


CSV = {"format": {"csv": {"delimiter": ";"}}}

HEAD = "A;B;C\n1;é;3\n".encode()


def test_a_line_with_a_column_too_many_or_too_few_is_damaged_and_the_rest_is_read(tmp_path: Path):
    source = opened(tmp_path, HEAD + b"2;x\n3;x;y\n4;x;y;z\n5;x;y\n", **CSV)
    assert rows(source) == [["1", "é", "3"], ["3", "x", "y"], ["5", "x", "y"]]
    assert damaged(source) == [(2, 3, "columns", "2;x"), (4, 5, "columns", "4;x;y;z")]
    params = [json.loads(text) for page in source.pages() for text in page.damaged["params"]]
    assert params == [{"found": 2, "expected": 3}, {"found": 4, "expected": 3}]


def test_a_quote_that_never_closes_costs_its_own_line_only(tmp_path: Path):
    source = opened(tmp_path, HEAD + b'2;"open;y\n3;x;y\n4;"fine";y\n5;x;y\n', **CSV)
    assert [row[0] for row in rows(source)] == ["1", "3", "4", "5"]
    assert damaged(source) == [(2, 3, "quote", '2;"open;y')]


def test_two_lone_quotes_lines_apart_do_not_swallow_the_lines_between_them(tmp_path: Path):
    source = opened(tmp_path, HEAD + b'2;"open;y\n3;x;y\n4;tube 12";y\n5;x;y\n', **CSV)
    assert [row[0] for row in rows(source)] == ["1", "3", "4", "5"]
    assert rows(source)[2][1] == 'tube 12"'
    assert damaged(source) == [(2, 3, "quote", '2;"open;y')]


@pytest.mark.parametrize(("open_", "stray"), [
    ('2;"open;x', '6;tube 12";"q"'), ('2;"open;x', '6;tube 12";"q;q"'), ('2;"open;x', '6;tube 12";x'),
    ('2;x;"open', '6;x;tube 12"'), ('2;x;"open', '6;x;"'),
])  # fmt: skip
def test_an_open_quote_is_told_on_its_own_line_whatever_quotes_stand_below(tmp_path: Path, open_: str, stray: str):
    below = f'{open_}\n3;x;y\n4;"";y\n5;x;y\n{stray}\n7;x;y\n'.encode()
    source = opened(tmp_path, HEAD + below, **CSV)
    lost = [(6, 7, "quote", stray)] if stray.endswith(';"') else []
    assert damaged(source) == [(2, 3, "quote", open_), *lost]
    assert [row[0] for row in rows(source)] == ["1", "3", "4", "5", *([] if lost else ["6"]), "7"]


def test_a_quoted_cell_of_several_lines_may_hold_as_many_delimiters_as_a_record_has(tmp_path: Path):
    """Other quotes beside it, or a line between that is no record, tell it from two lone quotes."""
    source = opened(tmp_path, HEAD + b'"2";"x";"note\none;two;three"\n3;x;"note\nof three\nlines;a;b"\n4;x;y\n', **CSV)
    assert rows(source) == [["1", "é", "3"], ["2", "x", "note\none;two;three"], ["3", "x", "note\nof three\nlines;a;b"],
                            ["4", "x", "y"]]
    assert damaged(source) == []


def test_without_quotes_an_escape_takes_delimiters_and_line_ends_into_a_cell(tmp_path: Path):
    plain = {"format": {"csv": {"delimiter": ";", "quote": None, "escape": "\\", "encoding": "utf-8"}}}
    source = opened(tmp_path, b'A;B;C\n1;a\\;b;c\n2;x\\\ny;"z\n3;\\\\;"in"ches"\n', **plain)
    assert rows(source) == [["1", "a;b", "c"], ["2", "x\ny", '"z'], ["3", "\\", '"in"ches"']]
    assert damaged(source) == []


def test_a_quote_open_at_the_end_of_the_file_costs_its_own_line_only(tmp_path: Path):
    source = opened(tmp_path, HEAD + b'2;x;"open\n3;x;y\n4;x;y', **CSV)
    assert [row[0] for row in rows(source)] == ["1", "3", "4"]
    assert damaged(source) == [(2, 3, "quote", '2;x;"open')]


def test_a_quote_open_for_longer_than_the_look_ahead_costs_its_own_line_only(tmp_path: Path):
    source = opened(tmp_path, HEAD + b'2;x;"open\n' + b"3;x;y\n" * 100_000, **CSV)
    assert len(rows(source)) == 100_001
    assert [one[:3] for one in damaged(source)] == [(2, 3, "quote")]


def test_a_cell_over_several_lines_is_one_row_and_later_line_numbers_count_on(tmp_path: Path):
    source = opened(tmp_path, HEAD + b'2;"a\r\nb\n\nc";3\n3;x\n', **CSV)
    assert rows(source)[1] == ["2", "a\r\nb\n\nc", "3"]
    assert damaged(source) == [(3, 7, "columns", "3;x")]


def test_quotes_that_are_not_escaped_are_tolerated_where_the_columns_are_right(tmp_path: Path):
    source = opened(tmp_path, HEAD + b'2;"abc "def" ghi";3\n3;Batterie 1/2";x\n4;"Batterie 1/2"";x\n', **CSV)
    assert rows(source)[1:] == [["2", 'abc "def" ghi', "3"], ["3", 'Batterie 1/2"', "x"], ["4", 'Batterie 1/2"', "x"]]
    assert damaged(source) == []


def test_a_late_bad_byte_in_utf_8_damages_its_line_only(tmp_path: Path):
    source = opened(tmp_path, HEAD + "2;é;y\n".encode() * 5000 + b"3;\xe9;y\n" + "4;ü;y\n".encode(), **CSV)
    assert source.detected["encoding"] == "utf-8"
    assert len(rows(source)) == 5002
    assert damaged(source) == [(5002, 5003, "bytes", "3;\\xe9;y")]


def test_a_bad_byte_in_a_cell_over_several_lines_damages_that_row_only(tmp_path: Path):
    source = opened(tmp_path, HEAD + b'2;"a\nb\xff\nc";3\n3;x;y\n', **CSV)
    assert [row[0] for row in rows(source)] == ["1", "3"]
    assert damaged(source) == [(2, 3, "bytes", '2;"a\nb\\xff\nc";3')]


def test_nul_bytes_damage_their_line(tmp_path: Path):
    source = opened(tmp_path, HEAD + b"2;\0;y\n3;x;y\n", **CSV)
    assert [row[0] for row in rows(source)] == ["1", "3"]
    assert damaged(source) == [(2, 3, "nul", "2;\\x00;y")]


def test_bytes_that_windows_1252_does_not_have_damage_their_line(tmp_path: Path):
    source = opened(tmp_path, b"A;B\n1;\xe9\n2;\x81\n3;x\n", format={"csv": {"delimiter": ";", "encoding": "cp1252"}})
    assert rows(source) == [["1", "é"], ["3", "x"]]
    assert damaged(source) == [(2, 3, "bytes", "2;\\x81")]


def test_half_a_character_at_the_end_of_utf_16_damages_the_last_line(tmp_path: Path):
    source = opened(tmp_path, "\ufeffA;B\n1;é\n2;x".encode("utf-16-le") + b"\x41", format="csv")
    assert rows(source) == [["1", "é"]]
    assert [one[:3] for one in damaged(source)] == [(2, 3, "bytes")]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_any_line_end_will_do(tmp_path: Path, end: str):
    source = opened(tmp_path, end.join(["A;B", "1;x", "2;y"]).encode(), **CSV)
    assert rows(source) == [["1", "x"], ["2", "y"]]
    assert [int(line) for page in source.pages() for line in page.lines] == [2, 3]


def test_line_ends_may_be_mixed_and_the_last_may_be_missing(tmp_path: Path):
    source = opened(tmp_path, b"A;B\r1;x\n2;y\r\n3;z\r\r4;w", **CSV)
    assert [row[0] for row in rows(source)] == ["1", "2", "3", "4"]
    assert [int(line) for page in source.pages() for line in page.lines] == [2, 3, 4, 6]


def test_rows_of_nothing_but_delimiters_at_the_end_are_no_rows(tmp_path: Path):
    source = opened(tmp_path, b'A;B\n1;x\n"";""\n2;y\n' + b";\n" * 10_000, **CSV)
    (page,) = source.pages()
    assert (list(page.frame.index), list(page.lines)) == ([1, 2, 3], [2, 3, 4])
    assert damaged(source) == []


def test_blank_lines_and_the_end_mark_of_dos_are_no_rows(tmp_path: Path):
    source = opened(tmp_path, b"A;B\n\n1;x\n   \n2;y\n\n\x1a", **CSV)
    assert rows(source) == [["1", "x"], ["2", "y"]]
    assert damaged(source) == []


def test_lines_that_all_end_with_a_delimiter_have_a_column_without_name(tmp_path: Path):
    both = opened(tmp_path, b"A;B;\n1;x;\n2;y;\n", "both.csv", **CSV)
    assert both.columns == ("A", "B", "3")
    body = opened(tmp_path, b"A;B\n1;x;\n2;y;\n", "body.csv", **CSV)
    assert body.columns == ("A", "B", "3")
    assert rows(both) == rows(body) == [["1", "x", ""], ["2", "y", ""]]
    head = opened(tmp_path, b"A;B;\n1;x\n2;y\n", "head.csv", **CSV)
    assert head.columns == ("A", "B")


def test_equal_headers_are_told_apart(tmp_path: Path):
    source = opened(tmp_path, b"A;A;A#2;;A\n1;2;3;4;5\n", **CSV)
    assert source.columns == ("A", "A#3", "A#2", "4", "A#4")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b"\n\n  \n", "no line to read"),
        (b"\xef\xbb\xbf", "no line to read"),
        (b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x01\x02\x00\x00\x00", "gzip"),
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n" + bytes(200), "PDF"),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "image"),
        (bytes(range(256)) * 4, "neither text nor a spreadsheet"),
        (b"<!DOCTYPE html><html><body>502 Bad Gateway</body></html>", "web page"),
        (b'<?xml version="1.0"?><a/>', "XML"),
        (b'[{"a": 1}, {"a": 2}]', "JSON array"),
        (b"PK\x05\x06" + bytes(18), "empty or split zip"),
        (b"PK\x03\x04 and then nothing of use", "damaged or cut short"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "damaged"),
        (b"\xff\xfe\x00\x00" + bytes(100), "header holds NUL"),
    ],
)
def test_what_is_no_table_is_refused_with_what_it_is(tmp_path: Path, content: bytes, says: str):
    with pytest.raises(SourceUnreadable, match=says):
        rows(opened(tmp_path, content, "a.dat"))


def test_a_line_without_end_is_refused_before_memory_runs_out(tmp_path: Path):
    with pytest.raises(SourceUnreadable, match="longer than"):
        rows(opened(tmp_path, b"a;b;c;d " * (3 << 20), **CSV))


def test_a_giant_line_after_good_ones_stops_the_run(tmp_path: Path):
    source = opened(tmp_path, HEAD * 2000 + b"x" * (17 << 20), **CSV)
    with pytest.raises(SourceUnreadable, match="longer than"):
        rows(source)


def test_a_declared_format_that_the_file_has_not_is_refused(tmp_path: Path):
    with pytest.raises(SourceUnreadable, match="format: excel, the file is text"):
        opened(tmp_path, HEAD, "a.xlsx", format="excel")
    with pytest.raises(SourceUnreadable, match="is a JSON object"):
        opened(tmp_path, HEAD, "a.jsonl", format="jsonl")
    with pytest.raises(SourceUnreadable, match="no FEC: it has no column JournalCode"):
        opened(tmp_path, HEAD, "a.txt", format="fec")


def test_a_header_that_is_not_of_the_encoding_is_refused(tmp_path: Path):
    with pytest.raises(SourceUnreadable, match="header holds bytes"):
        opened(tmp_path, "Référence;Nom\n1;2\n".encode("cp1252"), format={"csv": {"encoding": "utf-8"}})


@pytest.mark.parametrize(
    ("form", "says"),
    [
        ({"encoding": "klingon"}, "unknown encoding"),
        ({"encoding": "base64"}, "unknown encoding"),
    ],
)
def test_a_dialect_that_cannot_be_is_a_mistake_of_the_mapping(tmp_path: Path, form: dict[str, str], says: str):
    with pytest.raises(ConfigurationError, match=says):
        opened(tmp_path, HEAD, format={"csv": form})


def test_a_mark_of_utf_16_contradicts_another_encoding(tmp_path: Path):
    with pytest.raises(SourceUnreadable, match="mark of utf-16-le"):
        opened(tmp_path, "\ufeffA;B\n".encode("utf-16-le"), format={"csv": {"encoding": "cp1252"}})


# workbooks


def workbook(path: Path, cells: dict[tuple[int, int], Any]) -> Path:
    with xlsxwriter.Workbook(str(path)) as book:
        sheet = book.add_worksheet("Données")
        for (row, column), value in cells.items():
            sheet.write(row, column, value)
    return path


def repacked(path: Path, changes: dict[str, bytes]) -> Path:
    """The workbook with some of its parts replaced."""
    with zipfile.ZipFile(path) as old:
        parts = {name: old.read(name) for name in old.namelist()} | changes
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name, content in parts.items():
            new.writestr(name, content)
    return path


def refused(path: Path) -> str:
    with pytest.raises(SourceUnreadable) as caught:
        list(open_source(path, Read()).pages())
    return caught.value.message


def test_a_zip_bomb_is_not_opened(tmp_path: Path):
    path = repacked(workbook(tmp_path / "a.xlsx", {(0, 0): "A"}), {"xl/media/bomb.bin": bytes(150 << 20)})
    assert "unpacks to more than" in refused(path)


def test_a_zip_bomb_whose_header_lies_is_not_opened(tmp_path: Path):
    path = repacked(workbook(tmp_path / "a.xlsx", {(0, 0): "A"}), {"xl/media/bomb.bin": bytes(150 << 20)})
    content = path.read_bytes()
    path.write_bytes(content.replace(struct.pack("<I", 150 << 20), struct.pack("<I", 1000)))
    with zipfile.ZipFile(path) as archive:
        assert archive.getinfo("xl/media/bomb.bin").file_size == 1000
    assert "unpacks to more than" in refused(path)


def test_one_cell_in_the_last_corner_is_not_reserved_memory_for(tmp_path: Path):
    path = workbook(tmp_path / "a.xlsx", {(0, 0): "A", (1_048_575, 16_383): "far"})
    assert "spans 17,179,869,184 cells" in refused(path)


def test_an_ods_that_repeats_cells_without_end_is_not_opened(tmp_path: Path):
    content = (
        b'<?xml version="1.0"?><office:document-content '
        b'xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" '
        b'xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0" '
        b'xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0"><office:body><office:spreadsheet>'
        b'<table:table table:name="S"><table:table-row table:number-rows-repeated="1048576"><table:table-cell '
        b'office:value-type="string" table:number-columns-repeated="16384"><text:p>x</text:p></table:table-cell>'
        b"</table:table-row></table:table></office:spreadsheet></office:body></office:document-content>"
    )
    path = tmp_path / "a.ods"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr("content.xml", content)
    assert "spans 17,179,869,184 cells" in refused(path)


def test_a_locked_workbook_says_that_it_is_locked(tmp_path: Path):
    path = tmp_path / "a.xlsx"
    container, entry = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "EncryptedPackage".encode("utf-16-le")
    path.write_bytes(container + bytes(70_000) + entry + bytes(500))
    assert "locked by a password" in refused(path)


def test_a_zip_archive_that_is_no_workbook_says_so(tmp_path: Path):
    path = tmp_path / "a.xlsx"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("notes.txt", "nothing")
    assert "not a workbook" in refused(path)


def test_a_workbook_with_a_broken_part_is_damaged_and_nothing_worse(tmp_path: Path):
    path = workbook(tmp_path / "a.xlsx", {(0, 0): "A", (1, 0): 1})
    repacked(path, {"xl/worksheets/sheet1.xml": b"<worksheet><sheetData><row"})
    with pytest.raises(NavetteError):
        list(open_source(path, Read()).pages())


def test_a_workbook_cut_short_is_damaged(tmp_path: Path):
    path = workbook(tmp_path / "a.xlsx", {(row, 0): f"text {row}" for row in range(2000)})
    path.write_bytes(path.read_bytes()[:-500])
    assert "damaged or cut short" in refused(path)


def test_a_part_whose_packed_bytes_are_noise_is_damaged(tmp_path: Path):
    path = workbook(tmp_path / "a.xlsx", {(0, 0): "A", (1, 0): 1})
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo("xl/worksheets/sheet1.xml")
    content = bytearray(path.read_bytes())
    start = info.header_offset + 30 + len(info.filename)
    content[start : start + 40] = zlib.compress(b"noise" * 10)[:40].ljust(40, b"\xff")
    path.write_bytes(bytes(content))
    with pytest.raises(NavetteError):
        list(open_source(path, Read()).pages())


@pytest.mark.parametrize("cells", [
    b'<c r="A1"><f>1</f>' + b" " * (4 << 20) + b"</c>", b"<f/></c>" * (1 << 19), b'<c t="e"><f>' * (1 << 19),
    b'<c r="A1"' + b' t="e"' * (1 << 20), b"<f>" * (1 << 20) + b"<v/></c>",
], ids=["blanks", "formulas without cells", "cells that do not end", "attributes", "formulas in formulas"])
def test_cells_that_no_program_writes_take_no_longer_than_others(tmp_path: Path, cells: bytes):
    name = "xl/worksheets/sheet1.xml"
    path = repacked(workbook(tmp_path / "a.xlsx", {(0, 0): "A"}), {name: b"<worksheet><sheetData><row>" + cells})
    with suppress(SourceUnreadable):  # to look for what the library loses had taken hours
        lost_cells(path, "Données", 0, lambda column: True)


# several types, trailers


def test_a_file_cut_before_its_trailer_is_stopped(tmp_path: Path):
    read = {**CSV, "trailer": {"by": 1, "is": "T", "rows": 2, "sum": {"C": 3}}}
    good = b"A;B;C\nD;x;1,50\nD;y;2\nT;2;3,50\n"
    assert len(rows(opened(tmp_path, good, **read))) == 2
    changes = ((b"T;2;3,50\n", b""), (b"T;2", b"T;3"), (b"3,50\n", b"4,50\n"), (b"D;y;2\n", b""))
    for wrong in (good.replace(*change) for change in changes):
        with pytest.raises(RunStopped, match="trailer"):
            rows(opened(tmp_path, wrong, **read))


def test_a_trailer_of_another_width_is_found_too(tmp_path: Path):
    read = {**CSV, "trailer": {"by": 1, "is": "T", "rows": 2}}
    source = opened(tmp_path, b"A;B;C\nD;x;1\nD;y\nT;2\n", **read)
    assert rows(source) == [["D", "x", "1"]]
    assert [one[2] for one in damaged(source)] == ["columns"]
