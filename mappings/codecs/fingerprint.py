"""Fingerprints of raw rows: one 64-bit number each, by which a row is known to be the same as last time."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import xxhash
from numpy.typing import NDArray

from mappings.codecs.cells import TEXT, Cells, bytes_of, cells_of, contiguous, holds, offsets_of

_BETWEEN, _ESCAPE, _ABSENT = "\x1f", "\x1b", "\x1b0"


def fingerprints(frame: pd.DataFrame, columns: Sequence[str], salt: int) -> NDArray[np.int64]:
    """XXH3-64 of each row's raw cells in `columns`, as signed numbers; `salt` (any 64-bit number) seeds the hash.

    Two rows differ in their fingerprint if they differ in any cell; a blank cell is not one that the row lacks.
    """
    seed = salt & 0xFFFF_FFFF_FFFF_FFFF
    if not columns:
        return np.full(len(frame), np.uint64(xxhash.xxh3_64_intdigest(b"", seed)), np.uint64).view(np.int64)
    return hashed([cells_of(frame[column]) for column in columns], seed)


def hashed(columns: Sequence[Cells], seed: int) -> NDArray[np.int64]:
    """XXH3-64 of the cells that stand beside each other in `columns`, one or more, as signed numbers."""
    cells = [_escaped(column) for column in columns]
    rows = cells[0] if len(cells) == 1 else pc.binary_join_element_wise(*cells, pa.scalar(_BETWEEN, TEXT))
    rows = contiguous(rows)
    ends, text = offsets_of(rows).tolist(), memoryview(bytes_of(rows).data)
    digest = xxhash.xxh3_64_intdigest
    hashes = [digest(text[start:end], seed) for start, end in pairwise(ends)]
    return np.array(hashes, np.uint64).view(np.int64)


def _escaped(cells: Cells) -> Cells:
    """Cells in which the separator cannot stand bare, and absent ones are marked: neither is common, both are cheap."""
    if holds(cells, b"\x1b", b"\x1f"):
        cells = pc.replace_substring(pc.replace_substring(cells, _ESCAPE, _ESCAPE * 2), _BETWEEN, _ESCAPE + "1")
    return cells.fill_null(_ABSENT) if cells.null_count else cells
