"""Outbound files: what is written in any format is read back by the mirror mapping, cell by cell, or was refused."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from connectors.file.open import open_source
from connectors.file.outbound.open import open_writer
from connectors.file.outbound.port import TEXT
from mappings.errors import SourceUnreadable
from mappings.language.read import Read
from mappings.language.write import Write

COLUMNS = ("code", "name", "note")
SIGNS = st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Cf", "Cn", "Co")) | st.sampled_from(
    list(';,"\'\\#|&=+-@\t\n\r\0x0é€œ '))
# Not a delimiter and a line break in one cell: where its first and last line have all columns by themselves, the reader
# takes it for two damaged lines (connectors.file.record.swallows).
CELL = st.text(SIGNS.filter(lambda sign: sign != "\0"), max_size=12).map(str.strip).map(
    lambda text: text if not set(text) & set("\r\n") else text.translate(dict.fromkeys(map(ord, ";,|\t"), "-")))
ROWS = st.lists(st.tuples(st.text("abcXYZ019", min_size=1, max_size=6), CELL, CELL), min_size=1, max_size=12)
NAMED = {"by": "code", "is": "#END", "rows": "name"}
FIXED = {"code": [1, 8], "name": [10, 14], "note": [26, 20]}

FORMATS: dict[str, dict[str, Any]] = {
    "csv": {"format": {"csv": {"delimiter": ";", "encoding": "utf-8"}}},
    "csv with a trailer": {"format": {"csv": {"delimiter": ",", "encoding": "utf-8"}}, "trailer": NAMED},
    "csv of Windows": {"format": {"csv": {"delimiter": ";", "encoding": "cp1252"}}},
    "csv of DOS, without headers": {"format": {"csv": {"delimiter": "|", "encoding": "cp850", "header": COLUMNS}}},
    "csv in UTF-16": {"format": {"csv": {"delimiter": "\t", "encoding": "utf-16"}}},
    "csv with another quote": {"format": {"csv": {"delimiter": ";", "quote": "'", "encoding": "utf-8"}}},
    "csv without quotes": {"format": {"csv": {"delimiter": ";", "quote": None, "encoding": "utf-8"}}},
    "csv with an escape": {"format": {"csv": {"delimiter": ";", "escape": "\\", "encoding": "utf-8"}}},
    "csv with comments": {
        "format": {"csv": {"delimiter": ";", "comment": ["#", "a", "X+"], "encoding": "utf-8", "header": 3}}},
    "csv with entities": {"format": {"csv": {"delimiter": ";", "html": True, "encoding": "iso-8859-1"}}},
    "csv of one record type": {
        "format": {"csv": {"delimiter": ";", "encoding": "utf-8"}}, "records": {"by": "type", "use": "C"}},
    "fixed": {"format": {"fixed": {"columns": FIXED, "encoding": "utf-8"}}},
    "fixed in Latin-1": {"format": {"fixed": {"columns": FIXED, "encoding": "iso-8859-1", "skip": 2}}},
    "fixed in bytes": {"format": {"fixed": {"columns": FIXED, "encoding": "utf-8", "bytes": True}}},
    "fixed with a trailer": {
        "format": {"fixed": {"columns": FIXED, "encoding": "utf-8"}},
        "records": {"by": [50, 1], "use": "C"}, "trailer": {"by": [50, 1], "is": "T", "rows": [1, 8]}},
    "excel": {"format": {"excel": {}}},
    "excel with a trailer": {"format": {"excel": {"sheet": "Out", "header": 2, "skip": 1}}, "trailer": NAMED},
    "jsonl": {"format": {"jsonl": {}}},
    "jsonl in Latin-1": {"format": {"jsonl": {"encoding": "iso-8859-1"}}},
    "jsonl with a trailer": {"format": {"jsonl": {}}, "trailer": NAMED},
}


@pytest.mark.parametrize("said", FORMATS.values(), ids=FORMATS)
@settings(max_examples=15, deadline=None)
@given(rows=ROWS)
def test_what_is_written_is_read_back_or_was_refused(said: dict[str, Any], rows: list[tuple[str, ...]]) -> None:
    write, read = Write.model_validate(said), Read.model_validate(said)
    kind = "type" if "type" in str(said.get("records")) else None
    columns = (*COLUMNS, *([kind] if kind else []))
    with TemporaryDirectory() as folder:
        path = Path(folder) / ("out.xlsx" if "excel" in said["format"] else "out.txt")
        cells = {name: pa.array([row[at] for row in rows], TEXT) for at, name in enumerate(COLUMNS)}
        with path.open("wb") as file:
            writer = open_writer(file, write, columns, folder=Path(folder), where="test")
            refused = {one.row for one in writer.judge(cells)}
            kept = [row for at, row in enumerate(rows) if at not in refused]
            page = {name: pa.array([row[at] for row in kept], TEXT) for at, name in enumerate(COLUMNS)}
            if kind:
                page[kind] = pa.array(["C"] * len(kept), TEXT)
            if kept:
                writer.write(page)
            at = write.trailer
            writer.finish([] if at is None else [(at.by, at.is_), (at.rows, str(len(kept)))])  # type: ignore[list-item]
        if not kept:
            return
        try:
            source = open_source(path, read, columns_wanted=COLUMNS)
        except SourceUnreadable as unread:
            assume("is UTF-8" not in unread.message)  # each letter beyond ASCII happens to make one of UTF-8 with the next
            raise
        back = []
        for found in source.pages():
            assert found.damaged.empty, found.damaged.to_dict("records")
            back += list(found.frame[list(COLUMNS)].fillna("").itertuples(index=False, name=None))
    assert [tuple(_read(cell) for cell in row) for row in back] == [tuple(_read(cell) for cell in row) for row in kept]


def _read(cell: str) -> str:
    return cell.strip()
