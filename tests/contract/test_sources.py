"""What every reader promises, tried on each of them with the same rows."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import python_calamine
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.file.open import open_source
from connectors.file.write import write_like
from connectors.page import DAMAGED_COLUMNS, Page, Source
from mappings.errors import NavetteError, SourceUnreadable
from mappings.language.read import Read
from mappings.messages import REASONS
from tests.contract.shapes import SHAPES, Rows, Shape

ROWS: Rows = [
    ("C0001", "Société Générale du Bâtiment", "L'Haÿ-les-Roses", "1234,50"),
    ("C0002", "Œuvres & Fils “SARL”", "Ağrı", ""),
    ("", "Ελλάδα ΑΕ", "北京", "-12,50"),
    ("C0004", "=HYPERLINK(1)", "+33 6 39 98 42 11", "@x"),
    ("C0005", "'=déjà", "'quoted", "-1+2"),
    ("C0006", "plain", "", "0"),
]
SLOW = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)

every_shape = pytest.mark.parametrize("shape", SHAPES, ids=[shape.name for shape in SHAPES])


def opened(shape: Shape, path: Path) -> Source:
    return open_source(path, shape.read, columns_wanted=shape.wanted)


def written(shape: Shape, folder: Path, rows: Rows = ROWS) -> Path:
    path = folder / shape.file
    shape.write(path, rows)
    return path


def whole(source: Source, rows: int = 50_000) -> Page:
    pages = list(source.pages(rows))
    return Page(
        pd.concat([page.frame for page in pages]), np.concatenate([page.lines for page in pages]),
        pd.concat([page.damaged for page in pages], ignore_index=True),
    )


@every_shape
def test_every_cell_comes_back_as_text(shape: Shape, tmp_path: Path):
    source = opened(shape, written(shape, tmp_path))
    page = whole(source)
    assert source.columns == shape.headers
    assert [list(row)[:4] for row in page.frame.itertuples(index=False)] == [list(row) for row in ROWS]
    assert list(page.lines) == [shape.lines(row) for row in range(1, len(ROWS) + 1)]
    assert page.damaged.empty


@every_shape
def test_cells_are_arrow_strings_and_rows_are_numbered_from_one(shape: Shape, tmp_path: Path):
    page = next(iter(opened(shape, written(shape, tmp_path)).pages()))
    assert {str(kind) for kind in page.frame.dtypes} == {"string"}
    assert all(kind == pd.StringDtype("pyarrow") for kind in page.frame.dtypes)
    assert page.frame.index.dtype == np.int64
    assert list(page.frame.index) == list(range(1, len(ROWS) + 1))
    assert page.lines.dtype == np.int64
    assert tuple(page.damaged.columns) == DAMAGED_COLUMNS
    assert not page.frame.isna().any(axis=None)


@every_shape
def test_a_source_read_again_gives_the_same_rows_with_the_same_numbers(shape: Shape, tmp_path: Path):
    source = opened(shape, written(shape, tmp_path))
    first, second = whole(source), whole(source)
    pd.testing.assert_frame_equal(first.frame, second.frame)
    assert list(first.lines) == list(second.lines)


@every_shape
@pytest.mark.parametrize("size", [1, 2, 5, 6, 7])
def test_the_size_of_pages_changes_nothing_but_the_pages(shape: Shape, size: int, tmp_path: Path):
    source = opened(shape, written(shape, tmp_path))
    pages = list(source.pages(size))
    assert [len(page) for page in pages[:-1]] == [size] * (len(pages) - 1)
    pd.testing.assert_frame_equal(whole(source, size).frame, whole(source).frame)


@every_shape
def test_line_breaks_in_cells_stay_where_the_format_can_hold_them(shape: Shape, tmp_path: Path):
    if not shape.breaks:
        return
    rows = [("C1", "two\nlines", "x", "1"), ("C2", 'a "quote"; and more', "y\r\nz", "2")]
    page = whole(opened(shape, written(shape, tmp_path, rows)))
    assert [list(row) for row in page.frame.itertuples(index=False)] == [list(row) for row in rows]


@every_shape
def test_more_rows_than_one_block_are_all_read(shape: Shape, tmp_path: Path):
    rows = [(f"C{number:06d}", "Né à l'été", "Orléans", str(number)) for number in range(25_000)]
    page = whole(opened(shape, written(shape, tmp_path, rows)), 10_000)
    assert list(page.frame.index) == list(range(1, 25_001))
    assert page.frame.iloc[:, 0].tolist() == [row[0] for row in rows]
    assert (np.diff(page.lines) > 0).all()


@every_shape
def test_a_file_of_no_bytes_is_unreadable(shape: Shape, tmp_path: Path):
    path = tmp_path / shape.file
    path.write_bytes(b"")
    with pytest.raises(SourceUnreadable, match="empty"):
        opened(shape, path)


@every_shape
def test_what_is_no_file_is_unreadable_and_says_so(shape: Shape, tmp_path: Path):
    with pytest.raises(SourceUnreadable, match="folder"):
        opened(shape, tmp_path)
    with pytest.raises(SourceUnreadable, match="no such file"):
        opened(shape, tmp_path / "nowhere" / shape.file)


@every_shape
@SLOW
@given(noise=st.binary(max_size=400))
def test_random_bytes_end_in_an_error_of_ours_or_in_pages(shape: Shape, noise: bytes, tmp_path: Path):
    path = tmp_path / shape.file
    path.write_bytes(noise)
    _read_or_refuse(shape, path)


@every_shape
@SLOW
@given(cut=st.floats(0, 1), changes=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=8))
def test_a_file_that_is_cut_or_overwritten_anywhere_ends_in_an_error_of_ours_or_in_pages(
    shape: Shape, cut: float, changes: list[tuple[float, int]], tmp_path: Path
):
    path = written(shape, tmp_path)
    content = bytearray(path.read_bytes())
    for place, byte in changes:
        content[int(place * (len(content) - 1))] = byte
    path.write_bytes(bytes(content[: 1 + int(cut * (len(content) - 1))]))
    _read_or_refuse(shape, path)


def _read_or_refuse(shape: Shape, path: Path) -> None:
    refusal: NavetteError | None = None
    try:
        for page in opened(shape, path).pages(3):
            assert set(page.damaged["code"]) <= REASONS.keys()
            assert len(page.frame) == len(page.lines)
    except NavetteError as error:
        refusal = error
    if refusal is not None:
        assert refusal.message
        assert refusal.todo
        assert str(path) in refusal.where


@every_shape
def test_refused_rows_written_like_their_source_are_read_back_unchanged(shape: Shape, tmp_path: Path):
    source = opened(shape, written(shape, tmp_path))
    page = whole(source)
    refused = page.frame.assign(reason="Nom : « trop » long; — voir\nla suite", row=page.frame.index.astype("string"))
    back = tmp_path / "back" / shape.file
    write_like(back, source.columns, refused, shape.read, source.detected)
    again = opened(shape, back)
    assert again.detected["export"] == "refused rows"
    assert again.columns == source.columns
    assert [list(row) for row in whole(again).frame.itertuples(index=False)] == [
        list(row) for row in page.frame.itertuples(index=False)
    ]


@pytest.mark.parametrize("counted", ["characters", "bytes"])
@pytest.mark.parametrize("columns", ["CODE: [2, 6], NOM: [8, 12]", "KIND: [1, 1], CODE: [2, 6], NOM: [8, 12]",
                                     "NOM: [8, 12], CODE: [2, 6], ALL: [1, 19], BRANCH: [2, 2]"])
def test_places_that_share_characters_are_written_as_they_were(tmp_path: Path, columns: str, counted: str):
    """The column that `records` looks at is one of the mapping too, or a column is part of another."""
    read = Read.model_validate(yaml.safe_load(
        f"{{format: {{fixed: {{bytes: {str(counted == 'bytes').lower()}, columns: {{{columns}}}}}}},"
        " records: {by: [1, 1], use: D}}"))
    lines = ["DLI0001Élan & Cie", "DPA0002Ça", "H", "DLI0003"]
    path = tmp_path / "lines.txt"
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    source = open_source(path, read)
    page = whole(source)
    back = tmp_path / "back.txt"
    write_like(back, source.columns, page.frame.assign(reason="why"), read, source.detected)
    assert [line.split("#navette")[0].rstrip() for line in back.read_text("utf-8").splitlines()] == [
        line for line in lines if line != "H"]
    assert whole(open_source(back, read)).frame.equals(page.frame)


@every_shape
def test_an_export_holds_no_cell_that_a_spreadsheet_would_execute(shape: Shape, tmp_path: Path):
    if shape.name in ("fixed width", "JSON lines"):
        return  # no spreadsheet takes these apart
    source = opened(shape, written(shape, tmp_path))
    back = tmp_path / "back" / shape.file
    write_like(back, source.columns, whole(source).frame.assign(reason="=1+1"), shape.read, source.detected)
    if shape.name == "excel":
        sheet = python_calamine.load_workbook(str(back)).get_sheet_by_index(0)
        cells = [str(cell) for row in sheet.iter_rows() for cell in row]
    else:
        text = back.read_bytes().decode("utf-16" if "UTF-16" in shape.name else "utf-8")
        cells = [cell.strip('"') for line in text.splitlines() for cell in re.split(r"[|;\t]", line)]
    assert "'=HYPERLINK(1)" in cells
    assert "-12,50" in cells
    assert not [cell for cell in cells if cell.startswith(("=", "+", "@")) or cell == "-1+2"]
