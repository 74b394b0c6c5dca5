"""JSON lines: one object a line; a column a.b stands in the object a. Blank is null.

A page has one shape, so that each line is made of the same pieces: texts between the cells, and the cells as JSON.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from connectors.file.outbound.encoded import Encoding
from connectors.file.outbound.port import TEXT, Cells, Trailer, Unfit, blank, flags

_SIGNS = r'["\\\x00-\x1f]'
_NUMBER = r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?$"


@dataclass
class JsonlWriter:
    """`plain`: columns whose cells are numbers, true or false, and stand without quotes; `lists`: JSON already."""

    file: BinaryIO
    columns: Sequence[str]
    encoding: Encoding
    plain: frozenset[str] = frozenset()
    lists: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        self.file.write(self.encoding.mark)

    def judge(self, cells: Cells) -> list[Unfit]:
        """Everything fits: what the encoding does not have is written as \\uNNNN."""
        del cells
        return []

    def write(self, cells: Cells) -> None:
        rows = len(next(iter(cells.values())))
        self._lines(self.columns, {name: cells[name] if name in cells else blank(rows) for name in self.columns})

    def finish(self, trailer: Trailer) -> None:
        if trailer:
            told = {str(place): pa.array([text], TEXT) for place, text in trailer}
            self._lines(list(told), told)

    def _lines(self, columns: Sequence[str], cells: Cells) -> None:
        pieces: list[pa.Array | pa.Scalar] = []
        for piece in _pieces(_tree(columns)):
            if isinstance(piece, str):
                pieces.append(pa.scalar(piece, TEXT))
            else:
                pieces.append(self._json(piece[0], cells[piece[0]]))
        self.encoding.lines(self.file, pieces)

    def _json(self, name: str, values: pa.Array) -> pa.Array:
        as_is = pa.array(np.zeros(len(values), dtype=bool))
        if name in self.plain:
            truths = pc.is_in(values, pa.array(["true", "false"], TEXT))
            as_is = pc.or_(pc.match_substring_regex(values, _NUMBER), truths)
        elif name in self.lists:
            as_is = pc.match_substring_regex(values, r"^\[")
        odd = flags(pc.match_substring_regex(values, _SIGNS))
        if not self.encoding.whole:
            odd |= ~flags(pc.string_is_ascii(values))
        sign = pa.scalar('"', TEXT)
        quoted = pc.binary_join_element_wise(sign, values, sign, pa.scalar("", TEXT))
        if odd.any():
            mask = pa.array(odd)
            coded = values.filter(mask).dictionary_encode()
            escaped = pa.array([self._text(text) for text in coded.dictionary.to_pylist()], TEXT).take(coded.indices)
            quoted = pc.replace_with_mask(quoted, mask, escaped)
        return pc.if_else(pc.equal(values, ""), pa.scalar("null", TEXT), pc.if_else(as_is, values, quoted))

    def _text(self, text: str) -> str:
        if self.encoding.whole:
            return orjson.dumps(text).decode()
        # beyond ASCII as \uNNNN, so that every encoding holds it
        return '"' + "".join(
            orjson.dumps(sign).decode()[1:-1] if sign.isascii()
            else "".join(f"\\u{unit:04x}" for unit in np.frombuffer(sign.encode("utf-16-le"), dtype="<u2").tolist())
            for sign in text) + '"'


def _tree(columns: Sequence[str]) -> Mapping[str, Any]:
    """Nested names; at each leaf the whole name of its column."""
    tree: dict[str, Any] = {}
    for column in columns:
        *above, last = column.split(".")
        inner = tree
        for name in above:
            inner = inner.setdefault(name, {})
        inner[last] = column
    return tree


def _pieces(tree: Mapping[str, Any]) -> Iterator[str | tuple[str]]:
    yield "{"
    for place, (name, inner) in enumerate(tree.items()):
        yield ("," if place else "") + orjson.dumps(name).decode() + ":"
        if isinstance(inner, str):
            yield (inner,)
        else:
            yield from _pieces(inner)
    yield "}"
