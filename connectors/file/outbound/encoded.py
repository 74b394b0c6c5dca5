"""Text on its way to bytes: which cells an encoding cannot hold, and the lines of a page as bytes."""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from connectors.file.encoding import canonical
from connectors.file.outbound.port import TEXT, Cells, Unfit, flags, unfit

_EVERYTHING = ("utf-8", "utf-16", "utf-32")
"""Encodings that hold every character."""


@dataclass(frozen=True)
class Encoding:
    """`name` is Python's; `mark` is what the file begins with. A file is UTF-8 unless its mapping says otherwise."""

    name: str
    mark: bytes = b""

    @classmethod
    def of(cls, said: str | None, where: str) -> Encoding:
        """Raises ConfigurationError where there is no such encoding."""
        name = canonical(said or "utf-8", where)
        if said is not None and said.lower().replace("_", "-") == "utf-8-sig":
            return cls(name, codecs.BOM_UTF8)
        if name in ("utf-16", "utf-32"):  # as Windows has them
            return cls(f"{name}-le", codecs.BOM_UTF16_LE if name == "utf-16" else codecs.BOM_UTF32_LE)
        return cls(name)

    @property
    def whole(self) -> bool:
        """Whether it holds every character."""
        return self.name.startswith(_EVERYTHING)

    def holds(self, text: str) -> bool:
        """Whether this text can be written in it."""
        try:
            text.encode(self.name)
        except UnicodeError:
            return False
        return True

    def unfit(self, cells: Cells) -> Iterator[Unfit]:
        """Cells with characters that the encoding does not have. Asked once for each distinct text beyond ASCII."""
        if self.whole:
            return
        for column, values in cells.items():
            wide = ~flags(pc.string_is_ascii(values))
            if not wide.any():
                continue
            distinct = pc.unique(values.filter(pa.array(wide)))
            lost = pa.array([text for text in distinct.to_pylist() if not self.holds(text)], TEXT)
            if len(lost):
                yield from unfit(column, values, flags(pc.is_in(values, value_set=lost)), "not_encodable",
                                 encoding=self.name)

    def put(self, file: BinaryIO, text: str) -> None:
        file.write(text.encode(self.name))

    def lines(self, file: BinaryIO, pieces: Sequence[pa.Array | pa.Scalar], errors: str = "strict") -> None:
        """Writes one line for each row: the pieces, one behind the other, and a line feed."""
        end = pa.scalar("\n", TEXT)
        whole = pc.binary_join_element_wise(*pieces, end, pa.scalar("", TEXT))
        # The array's own buffer is the text of the page, one line behind the other.
        buffer = whole.buffers()[2]
        ends = np.frombuffer(whole.buffers()[1], dtype=np.int64)[whole.offset : whole.offset + len(whole) + 1]
        if buffer is None or not len(whole):
            return
        text = memoryview(buffer)[int(ends[0]) : int(ends[-1])]
        file.write(text if self.name == "utf-8" else bytes(text).decode().encode(self.name, errors))
