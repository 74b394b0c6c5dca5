"""A page as the intos of a flow see it; and few changed rows of many pages as one.

Decoding and judging cost what a call costs, not what its rows do: where one row in a hundred has changed, forty pages
are decoded at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from pipelines.stages.nested import Part
from pipelines.stages.same import SameRows


@dataclass(frozen=True)
class ReadPart:
    """A page as one into sees it, with the key, order mark, stamp and fingerprint of each row."""

    part: Part
    keys: pd.Series
    marks: pd.Series
    stamps: pd.Series
    hashes: pd.Series

    def changed(self, same: SameRows) -> pd.Index[int]:
        """The rows that must be decoded."""
        return same.changed(self.part.frame.index, self.keys, self.hashes, self.marks, self.part.parents)

    def narrowed(self, rows: pd.Index[int], frame: pd.DataFrame) -> ReadPart:
        """The part with these rows only; `frame`: their raw content."""
        lines = self.part.lines[self.part.frame.index.isin(rows)]
        return ReadPart(replace(self.part, frame=frame, raw=frame, lines=lines), self.keys.loc[rows],
                        self.marks.loc[rows], self.stamps.loc[rows], self.hashes.loc[rows])


@dataclass(frozen=True)
class Looked:
    """A page that was looked up: its raw rows, and for each into its part and the rows that it must decode."""

    frame: pd.DataFrame
    parts: list[ReadPart]
    changed: list[pd.Index[int]]

    @property
    def rows(self) -> int:
        """How many rows have changed, for the into with the most."""
        return max(map(len, self.changed), default=0)

    @property
    def is_whole(self) -> bool:
        """It cannot be narrowed to changed rows: an element of a nested list needs the row that it is in."""
        return self.rows == len(self.frame) or any(read.part.parents is not None for read in self.parts)

    def narrowed(self) -> Looked:
        """Without the rows that no into must decode."""
        wanted = pd.Index(np.unique(np.concatenate([rows.to_numpy() for rows in self.changed])))
        frame = self.frame.loc[wanted]
        return Looked(frame, [read.narrowed(wanted, frame) for read in self.parts], self.changed)


def gathered(pages: Iterable[Looked], most: int) -> Iterator[Looked]:
    """The pages in order, those of few changed rows together: at most `most` rows, or one page."""
    line: list[Looked] = []
    for page in pages:
        if line and (page.is_whole or sum(each.rows for each in line) + page.rows > most):
            yield _together(line)
            line = []
        if page.is_whole:
            yield page
        elif page.rows:
            line.append(page.narrowed())
    if line:
        yield _together(line)


def _together(pages: Sequence[Looked]) -> Looked:
    if len(pages) == 1:
        return pages[0]
    frame = pd.concat([page.frame for page in pages])
    parts = [_merged([page.parts[number] for page in pages], frame) for number in range(len(pages[0].parts))]
    changed = [pd.Index(np.concatenate([page.changed[number].to_numpy() for page in pages]))
               for number in range(len(parts))]
    return Looked(frame, parts, changed)


def _merged(reads: Sequence[ReadPart], frame: pd.DataFrame) -> ReadPart:
    lines = np.concatenate([read.part.lines for read in reads])
    series = [pd.concat([getattr(read, name) for read in reads]) for name in ("keys", "marks", "stamps", "hashes")]
    return ReadPart(replace(reads[0].part, frame=frame, raw=frame, lines=lines), *series)
