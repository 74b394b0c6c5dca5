"""What every connector hands to the road: pages of raw text cells, and beside them the lines that could not be read.

::

    Source ── pages(rows) ──▶ Page ── frame     rows that have the right shape, every cell text
                                   ├─ lines     where each of them begins in the source
                                   └─ damaged   lines without that shape: number, reason, raw text
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import compress
from typing import Any, Protocol
from unicodedata import normalize

import numpy as np
import numpy.typing as npt
import pandas as pd

from mappings.words import INVISIBLE

Integers = npt.NDArray[np.int64]
Chosen = npt.NDArray[np.bool_]
Notices = dict[str, dict[str, Any]]
"""Keys of mappings.messages.NOTICES, each with its parameters."""

PAGE_ROWS = 50_000
DAMAGED_COLUMNS = ("row", "line", "code", "params", "raw", "answers")


@dataclass(frozen=True)
class Page:
    """Consecutive rows of a source.

    `frame`: every column `string[pyarrow]`; '' is a blank cell, NA means that this row does not have that column.
    Its index (int64) is the row's number in the source: from 1, increasing over the whole run; a damaged line uses up
    a number too, so that the numbers of `frame` and `damaged` together have no gap.
    `lines`: the physical line (a spreadsheet's row), from 1, at which each row of `frame` begins.
    `damaged`: row (int64), line (int64), code (a key of mappings.messages.REASONS), params (JSON text), raw (text; what
    is no text in it is written as \\xNN), answers (text: of an export of refused rows, the numbers of the held rows
    that the line was written for; else '').
    `states`: what tells each row of `frame` in the state that it is in from all others, itself at other times too; ()
    where the connector cannot tell.
    """

    frame: pd.DataFrame
    lines: Integers
    damaged: pd.DataFrame
    states: Sequence[Hashable] = ()

    def only(self, rows: Chosen) -> Page:
        """These rows alone, under the numbers that they have, and the damaged lines."""
        return Page(self.frame[rows], self.lines[rows], self.damaged, tuple(compress(self.states, rows)))

    def __len__(self) -> int:
        return len(self.frame) + len(self.damaged)


@cache
def none_damaged() -> pd.DataFrame:
    """The frame of damaged lines of a page that has none; shared, so not to be changed."""
    texts = {name: pd.array([], dtype="string[pyarrow]") for name in DAMAGED_COLUMNS[2:]}
    numbers = {name: pd.array([], dtype="int64") for name in DAMAGED_COLUMNS[:2]}
    return pd.DataFrame(numbers | texts)


class Source(Protocol):
    """A file or resource that is open for reading; `pages` may be called again and numbers the rows alike."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The headers; the second of equal headers is `Header#2`, a column without one is its position as text."""

    @property
    def detected(self) -> dict[str, str]:
        """What the mapping did not pin and the file told: encoding, delimiter, decimal, header, sheet."""

    @property
    def notices(self) -> Notices:
        """What people are to know of the read; whole after the last page."""

    def pages(self, rows: int = PAGE_ROWS) -> Iterator[Page]:
        """At most `rows` rows a page; raises RunStopped when the source turns out not to be whole."""


def distinct_headers(raw: Sequence[str]) -> tuple[str, ...]:
    """Names for columns: trimmed, unnamed ones by position, repeated ones as Header#2, Header#3.

    Composed (NFC): a file from macOS may write é as two characters, and a mapping as one.
    """
    whole = [" ".join(normalize("NFC", name).replace("\ufeff", "").split()) for name in raw]
    named = [name.strip(INVISIBLE + " ") or str(place) for place, name in enumerate(whole, 1)]
    seen: dict[str, int] = {}
    taken = set(named)
    result = []
    for name in named:
        seen[name] = seen.get(name, 0) + 1
        if seen[name] == 1:
            result.append(name)
            continue
        while (candidate := f"{name}#{seen[name]}") in taken:
            seen[name] += 1
        taken.add(candidate)
        result.append(candidate)
    return tuple(result)


def place_of(column: int | str, columns: Sequence[str]) -> int | None:
    """Where a column named in a mapping stands, from 0: an int is a position from 1, a text a header; None: nowhere."""
    if isinstance(column, int):
        return column - 1 if 1 <= column <= len(columns) else None
    if column in columns:
        return list(columns).index(column)
    return None
