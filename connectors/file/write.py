"""Refused rows as a file like the one they came from, so that it can be corrected and dropped in again.

::

    Code;Nom;Solde;navette_reason;navette_row        headers: reasons in columns of their own, last
    C0042;Durand;12,5O;Solde: '12,5O' is not …;17

    C0042;Durand;12,5O;#navette;Solde: … ;17         no headers: behind a mark
    C0042  Durand     0000012,5O #navette Solde: …   fixed width: behind the last column

A file with such columns is recognised when it is read: the reasons are left out, but for navette_id and navette_raw,
which tell what held rows it answers; `trailer` is not asked for, and `detected` says `export`, for it is never a full
file.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import xlsxwriter

from connectors.file.block import CELL
from connectors.file.excel import Area, range_of
from connectors.file.json_text import parsed
from connectors.file.nested import passes_list
from connectors.file.neutral import ANSWERS, MARK, OWN_PREFIX, neutralised
from mappings.codecs.cells import pointed
from mappings.errors import ConfigurationError
from mappings.language.read import CsvFormat, ExcelFormat, FixedFormat, Read

LONGEST_CELL = 32_000  # a spreadsheet keeps 32,767 characters


def write_like(
    path: Path, source_columns: Sequence[str], rows: pd.DataFrame, read: Read, detected: Mapping[str, str]
) -> None:
    """Writes `rows` to `path`, in the source's own columns and dialect.

    `rows`: the source's columns as text (missing ones and NA are blank), and any others, which are reasons and get the
    prefix navette_; a column `raw` (or navette_raw) holds the text of lines that could not be taken apart.
    `detected`: what the source said it found. Raises ConfigurationError if the file cannot be written.
    """
    own = [name for name in source_columns if not name.startswith(OWN_PREFIX)]
    reasons = [name for name in rows.columns if name not in own]
    cells = {name: _texts(rows, name) for name in own}
    why = {name if str(name).startswith(OWN_PREFIX) else f"{OWN_PREFIX}{name}": _texts(rows, name) for name in reasons}
    kind = _kind(read, detected)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        WRITERS[kind](path, cells, why, read, detected)
    except OSError as error:
        raise ConfigurationError(
            f"the export cannot be written: {error.strerror or error}", where=str(path), todo="name another path"
        ) from error


Columns = dict[str, pa.Array]


def _texts(rows: pd.DataFrame, name: str) -> pa.Array:
    if name not in rows.columns:
        return pa.array([""] * len(rows), CELL)
    cells = pa.array(rows[name].astype("string[pyarrow]"), from_pandas=True)
    return (cells.combine_chunks() if isinstance(cells, pa.ChunkedArray) else cells).cast(CELL)


def _kind(read: Read, detected: Mapping[str, str]) -> str:
    for name in WRITERS:
        if read.format is not None and getattr(read.format, name) is not None:
            return name
    return detected.get("format", "csv")


def _blank(cells: Columns) -> list[pa.Array]:
    return [cell.fill_null("") for cell in cells.values()]


def _csv(path: Path, cells: Columns, why: Columns, read: Read, detected: Mapping[str, str]) -> None:
    form = read.format.csv if read.format and read.format.csv else CsvFormat()
    if read.format is not None and read.format.fec is not None:
        form = CsvFormat(encoding=read.format.fec.encoding, delimiter=read.format.fec.delimiter, quote=None)
    delimiter = form.delimiter or detected.get("delimiter", ";")
    before = form.skip
    headed = form.header is True or (isinstance(form.header, int) and not isinstance(form.header, bool))
    if headed and form.header is not True and isinstance(form.header, int):
        before = max(form.skip, form.header - 1)
    columns = [neutralised(one) for one in (*_blank(cells), *_blank(why))]
    if form.html:
        columns = [pc.replace_substring(one, "&", "&amp;") for one in columns]
    names = [*cells, *why]
    if not headed:
        columns.insert(len(cells), pa.array([MARK] * len(columns[0]), CELL))
        names.insert(len(cells), MARK)
    if form.quote != '"' or form.escape is not None:
        text = _by_hand(columns, names if headed else None, delimiter, form)
    else:
        sink = io.BytesIO()
        table = pa.table(columns, names=[str(place) for place in range(len(columns))])
        head = pa.table([pa.array([name], CELL) for name in names], names=table.column_names)
        options = pa_csv.WriteOptions(include_header=False, delimiter=delimiter, quoting_style="needed")
        pa_csv.write_csv(pa.concat_tables([head, table]) if headed else table, sink, options)
        text = sink.getvalue().decode()
    encoding = form.encoding or detected.get("encoding", "utf-8")
    path.write_bytes(_encoded("\n" * before + text, encoding, "xmlcharrefreplace" if form.html else "replace"))


def _by_hand(columns: list[pa.Array], head: list[str] | None, delimiter: str, form: CsvFormat) -> str:
    """Another quote than ", an escape character, or neither: what Arrow does not write."""
    quote, escape = form.quote, form.escape

    def cell(text: str) -> str:
        if not any(sign and sign in text for sign in (delimiter, quote, escape, "\r", "\n")):
            return text
        if quote is not None:
            inner = text.replace(escape, escape * 2) if escape else text
            return quote + inner.replace(quote, quote * 2) + quote
        if escape is not None:
            return "".join(escape + sign if sign in (delimiter, escape, "\r", "\n") else sign for sign in text)
        if form.html:
            return "".join(f"&#{ord(sign)};" if sign in (delimiter, "\r", "\n") else sign for sign in text)
        return text.translate({ord(sign): " " for sign in (delimiter, "\r", "\n")})

    lines = [] if head is None else [head]
    lines += [list(row) for row in zip(*(column.to_pylist() for column in columns), strict=True)]
    return "".join(delimiter.join(cell(text) for text in line) + "\n" for line in lines)


def _encoded(text: str, encoding: str, errors: str = "replace") -> bytes:
    wide = {"utf-16-le": b"\xff\xfe", "utf-16-be": b"\xfe\xff"}.get(encoding, b"")
    return wide + text.encode(encoding, errors)


def _fixed(path: Path, cells: Columns, why: Columns, read: Read, detected: Mapping[str, str]) -> None:
    form = read.format.fixed if read.format and read.format.fixed else FixedFormat()
    own = read.records.columns if read.records and isinstance(read.records.columns, dict) else None
    layout = {name: spot for name, spot in (own or form.columns).items() if name in cells}
    encoding = form.encoding or detected.get("encoding", "utf-8")
    in_bytes = encoding if form.bytes else None
    constant: list[tuple[tuple[int, int], str]] = []
    if read.records is not None and isinstance(read.records.by, tuple):
        constant = [(read.records.by, read.records.use if isinstance(read.records.use, str) else read.records.use[0])]
    lines = ["\n"] * form.skip
    raws = why.pop(f"{OWN_PREFIX}raw", None)
    for at in range(len(next(iter(cells.values())))):
        placed = [*constant, *((layout[name], cells[name][at].as_py() or "") for name in layout)]
        line = (raws[at].as_py() if raws is not None else None) or _placed(placed, in_bytes)
        end = max(start + width - 1 for start, width in layout.values())
        reasons = {name: str(column[at].as_py() or "").replace("\n", " ") for name, column in why.items()}
        told = " | ".join(f"{name} {text}" if name == ANSWERS else text for name, text in reasons.items())
        lines.append(line + " " * (end - _size(line, in_bytes)) + f" {MARK} {told}\n")
    path.write_bytes(_encoded("".join(lines), encoding))


def _placed(cells: Iterable[tuple[tuple[int, int], str]], in_bytes: str | None) -> str:
    """A line with each text at its place, the later over the earlier: places may share characters, which in the source
    were the same ones. `in_bytes`: the encoding whose bytes places count; None where they count characters."""
    line = ""
    for (start, width), text in cells:
        cut = text
        while _size(cut, in_bytes) > width:
            cut = cut[:-1]
        before, behind = _parted(line, start - 1, in_bytes)
        _, behind = _parted(behind, _size(cut, in_bytes), in_bytes)
        line = before + " " * (start - 1 - _size(before, in_bytes)) + cut + behind
    return line


def _size(text: str, in_bytes: str | None) -> int:
    return len(text) if in_bytes is None else len(text.encode(in_bytes, "replace"))


def _parted(text: str, at: int, in_bytes: str | None) -> tuple[str, str]:
    """The text before a place, and from it on."""
    if in_bytes is None:
        return text[:at], text[at:]
    raw = text.encode(in_bytes, "replace")
    return raw[:at].decode(in_bytes, "replace"), raw[at:].decode(in_bytes, "replace")


def _excel(path: Path, cells: Columns, why: Columns, read: Read, detected: Mapping[str, str]) -> None:
    form = read.format.excel if read.format and read.format.excel else ExcelFormat()
    area = range_of(form.range) if form.range else Area(0, 0, 0, 0)
    top, left = area.top, area.left
    with xlsxwriter.Workbook(str(path), {"strings_to_formulas": False, "strings_to_urls": False}) as book:
        if isinstance(form.sheet, int):
            for _ in range(form.sheet - 1):
                book.add_worksheet()
        sheet = book.add_worksheet(form.sheet if isinstance(form.sheet, str) else detected.get("sheet"))
        names = [*cells, *why]
        columns = [neutralised(one).to_pylist() for one in (*_blank(cells), *_blank(why))]
        if form.header is False:
            columns.insert(len(cells), [MARK] * len(columns[0]))
            first = top
        else:
            row = top + (1 if form.header is True else form.header) - 1
            for place, name in enumerate(names):
                sheet.write_string(row, left + place, name)
            first = row + 1
        for place, column in enumerate(columns):
            for at, (text, number) in enumerate(zip(column, pointed(pa.array(column, CELL)).to_pylist(), strict=True)):
                if text != number:
                    sheet.write_number(first + form.skip + at, left + place, float(number))
                elif text:
                    sheet.write_string(first + form.skip + at, left + place, text[:LONGEST_CELL])


def _jsonl(path: Path, cells: Columns, why: Columns, read: Read, _: Mapping[str, str]) -> None:
    form = read.format.jsonl if read.format else None
    lines = []
    names, columns = [*cells, *why], [column.to_pylist() for column in (*cells.values(), *why.values())]
    for row in zip(*columns, strict=True):
        value: dict[str, Any] = {}
        for name, text in zip(names, row, strict=True):
            if text is not None:
                _put(value, name, text)
        lines.append(orjson.dumps(value, default=str).decode() + "\n")
    path.write_bytes(_encoded("".join(lines), form.encoding if form else "utf-8"))


def _put(value: dict[str, Any], path: str, text: str) -> None:
    """Sets a path; a blank is null, and JSON text of a list or an object is that."""
    content: Any = text or None
    if text.startswith(("[", "{")):
        try:
            content = parsed(text.encode())
        except ValueError:
            content = text
    if passes_list(content, path):  # the cell of a `ListPath`, which holds the way to its lists
        value.update(content)
        return
    *above, last = path.split(".")
    for name in above:
        inner = value.setdefault(name, {})
        if not isinstance(inner, dict):
            return
        value = inner
    value[last] = content


WRITERS: dict[str, Callable[[Path, Columns, Columns, Read, Mapping[str, str]], None]] = {
    "csv": _csv, "fec": _csv, "fixed": _fixed, "excel": _excel, "jsonl": _jsonl,
}
