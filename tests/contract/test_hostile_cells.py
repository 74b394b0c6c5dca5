"""Spreadsheets of older and other programs, made to mislead who looks for errors and formulas in their cells."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from connectors.file.lost_cells import lost_cells
from tests.old_workbook import xls


@pytest.mark.parametrize("cells", [
    b"<table:table-cell " + b'a="' * (1 << 20), b"<table:table-cell x" + b" " * (4 << 20), b"<table:table-cell '" * (1 << 18),
    b'<table:table-cell table:formula="x" table:number-columns-repeated="999999999"/>' * 20_000,
    b"<office:annotation><text:p>" * (1 << 17),
], ids=["quotes", "blanks", "cells that do not end", "formulas in every column", "notes in notes"])
def test_cells_of_an_ods_sheet_that_no_program_writes_take_no_longer_than_others(tmp_path: Path, cells: bytes):
    path = tmp_path / "a.ods"
    sheet = b'<table:table table:name="S"><table:table-row table:number-rows-repeated="999999999">'
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("content.xml", sheet + cells + b"</table:table>")
    assert len(lost_cells(path, "S", 0, lambda column: True)) <= 1 << 20


@pytest.mark.parametrize("at", [30, 44, 48, 68, 76, 512, 1024, 1028])
def test_an_xls_file_whose_tables_lie_has_no_errors_to_tell(tmp_path: Path, at: int):
    path = tmp_path / "a.xls"
    path.write_bytes(xls("S", {(0, 0): "A", (1, 0): (0x0205, b"\x2a\x01")}))
    assert lost_cells(path, "S", 0, lambda column: True) == {1: (0, "#N/A")}
    content = bytearray(path.read_bytes())
    for lie in (b"\0\0\0\0", b"\1\0\0\0", b"\2\0\0\0", b"\xff\xff\xff\x7f", b"\xff\xff\xff\xff"):
        content[at : at + 4] = lie
        path.write_bytes(content)
        assert lost_cells(path, "S", 0, lambda column: True) in ({}, {1: (0, "#N/A")})
