"""Fixed width: every cell in its column, filled up with blanks; what is wider than its column refuses its row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from connectors.file.outbound.encoded import Encoding
from connectors.file.outbound.port import TEXT, Cells, Spot, Trailer, Unfit, blank, flags, unfit
from connectors.page import Integers
from mappings.errors import RunStopped
from mappings.language.read import FixedFormat


@dataclass
class FixedWriter:
    """`layout`: column to [start, width], start counted from 1. `type_of_line`: where a record type stands, and which,
    where no column of the layout is meant."""

    file: BinaryIO
    form: FixedFormat
    layout: Mapping[str, Spot]
    encoding: Encoding
    type_of_line: tuple[Spot, str] | None = None

    def __post_init__(self) -> None:
        self.file.write(self.encoding.mark)
        self.encoding.put(self.file, "\n" * self.form.skip)

    def judge(self, cells: Cells) -> list[Unfit]:
        found = list(self.encoding.unfit(cells))
        lost = {(one.column, one.row) for one in found}
        for name, values in cells.items():
            found += unfit(name, values, flags(pc.match_substring_regex(values, r"[\r\n]")), "not_fitting")
            sizes, width = self._sizes(values), self.layout[name][1]
            found += [Unfit(row, name, "too_wide", {"value": values[row].as_py(), "width": width,
                                                    "size": int(sizes[row])})
                      for row in np.flatnonzero(sizes > width).tolist() if (name, row) not in lost]
        return found

    def write(self, cells: Cells) -> None:
        rows = len(next(iter(cells.values())))
        placed = [(spot, cells[name] if name in cells else blank(rows)) for name, spot in self.layout.items()]
        if self.type_of_line is not None:
            spot, text = self.type_of_line
            placed.append((spot, pa.array([text] * rows, TEXT)))
        self._lines(placed)

    def finish(self, trailer: Trailer) -> None:
        if not trailer:
            return
        placed = [(place if isinstance(place, tuple) else self.layout[place], text) for place, text in trailer]
        for spot, text in placed:
            if len(text) > spot[1]:
                raise RunStopped(f"{text!r} of the trailer is wider than its column [{spot[0]}, {spot[1]}]",
                                 todo="give it more room in the mapping, as agreed with the reader of the file")
        self._lines([(spot, pa.array([text], TEXT)) for spot, text in placed])

    def _lines(self, placed: list[tuple[Spot, pa.Array]]) -> None:
        placed.sort(key=lambda one: one[0])
        pieces: list[pa.Array | pa.Scalar] = []
        end = 1
        for (start, width), values in placed:
            if start > end:
                pieces.append(pa.scalar(" " * (start - end), TEXT))
            pieces.append(self._padded(values, width))
            end = start + width
        self.encoding.lines(self.file, pieces)

    def _padded(self, values: pa.Array, width: int) -> pa.Array:
        if not self.form.bytes:
            return pc.utf8_rpad(values, width, " ")
        missing = pa.array(width - self._sizes(values))
        fill = pc.binary_repeat(pa.array([" "] * len(values), TEXT), missing)
        return pc.binary_join_element_wise(values, fill, pa.scalar("", TEXT))

    def _sizes(self, values: pa.Array) -> Integers:
        """What each cell takes: characters, or bytes of the file's encoding (0 for what it cannot hold)."""
        if not self.form.bytes:
            return np.asarray(pc.utf8_length(values), dtype=np.int64)
        if self.encoding.name == "utf-8" or flags(pc.string_is_ascii(values)).all():
            return np.asarray(pc.binary_length(values), dtype=np.int64)
        coded = values.dictionary_encode()
        sizes = [len(text.encode(self.encoding.name, "ignore")) for text in coded.dictionary.to_pylist()]
        return np.array(sizes, dtype=np.int64)[np.asarray(coded.indices, dtype=np.int64)]
