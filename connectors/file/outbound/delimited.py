"""Delimited text: cells are quoted where they have to be, as `read.format.csv` with the same keys reads them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc

from connectors.file.outbound.encoded import Encoding
from connectors.file.outbound.port import TEXT, Cells, Trailer, Unfit, blank, flags, unfit
from mappings.language.read import CsvFormat


@dataclass
class DelimitedWriter:
    """`columns` in the order of the file; `heads`: whether the first line names them."""

    file: BinaryIO
    form: CsvFormat
    columns: Sequence[str]
    encoding: Encoding

    def __post_init__(self) -> None:
        self.file.write(self.encoding.mark)
        numbered = isinstance(self.form.header, int) and not isinstance(self.form.header, bool)
        before = max(self.form.skip, int(self.form.header) - 1 if numbered else 0)  # type: ignore[arg-type]
        self.encoding.put(self.file, "\n" * before)
        if self.form.header is True or numbered:
            self._lines({name: pa.array([name], TEXT) for name in self.columns})

    @property
    def delimiter(self) -> str:
        return self.form.delimiter or ";"

    def judge(self, cells: Cells) -> list[Unfit]:
        found = [] if self.form.html else list(self.encoding.unfit(cells))
        if self.form.quote is None:
            for column, values in cells.items():
                special = self._special(values, first=column == self.columns[0])
                found += unfit(column, values, flags(special), "not_fitting")
        if self.form.comment and (first := self.columns[0]) in cells:  # in quotes it would be a comment all the same
            begins = pc.match_substring_regex(cells[first], "^(?:" + "|".join(map(re.escape, self.form.comment)) + ")")
            found += unfit(first, cells[first], flags(begins), "not_fitting")
        return found

    def write(self, cells: Cells) -> None:
        self._lines(cells)

    def finish(self, trailer: Trailer) -> None:
        if trailer:
            told = {str(place): text for place, text in trailer}
            self._lines({name: pa.array([told.get(name, "")], TEXT) for name in self.columns})

    def _lines(self, cells: Cells) -> None:
        rows = len(next(iter(cells.values())))
        pieces: list[pa.Array | pa.Scalar] = []
        for place, name in enumerate(self.columns):
            if place:
                pieces.append(pa.scalar(self.delimiter, TEXT))
            pieces.append(self._cell(cells.get(name, None), rows, first=place == 0))
        self.encoding.lines(self.file, pieces, "xmlcharrefreplace" if self.form.html else "strict")

    def _cell(self, values: pa.Array | None, rows: int, *, first: bool) -> pa.Array:
        values = blank(rows) if values is None else values
        if self.form.html:  # whatever looks like an entity has to come back as it is
            values = pc.replace_substring(values, "&", "&amp;")
        special = self._special(values, first=first)
        quote, escape = self.form.quote, self.form.escape
        if quote is None or not pc.any(special, min_count=0).as_py():
            return values  # without a quote such rows are refused
        inner = pc.replace_substring(values, escape, escape * 2) if escape else values
        doubled = pc.replace_substring(inner, quote, quote * 2)
        sign = pa.scalar(quote, TEXT)
        return pc.if_else(special, pc.binary_join_element_wise(sign, doubled, sign, pa.scalar("", TEXT)), values)

    def _special(self, values: pa.Array, *, first: bool) -> pa.Array:
        """Cells that cannot stand as they are."""
        signs = [self.delimiter, "\r", "\n", *(sign for sign in (self.form.quote, self.form.escape) if sign)]
        special = pc.match_substring_regex(values, "[" + "".join(re.escape(sign) for sign in signs) + "]")
        if first and len(self.columns) == 1:  # a line without a sign would be no line
            special = pc.or_(special, pc.match_substring_regex(values, r"^\s*$"))
        return special
