"""The rows of one into on a page: the page's own, or the elements of a nested list of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from connectors.file.nested import expand
from connectors.page import Page, none_damaged
from mappings.language.flow import Into


@dataclass(frozen=True)
class Part:
    """A page as one into sees it. `raw` holds the source's own rows; `parents` (by row) the row of `raw` behind each
    element of a nested list, None where the rows are the source's own; `broken` the cells that hold no list (see
    connectors.file.nested.Children), None where there are none."""

    frame: pd.DataFrame
    lines: npt.NDArray[np.int64]
    damaged: pd.DataFrame
    raw: pd.DataFrame
    parents: pd.Series | None = None
    broken: pd.DataFrame | None = None

    @property
    def unread(self) -> int:
        """How many rows or lists could not be read."""
        return len(self.damaged) + (0 if self.broken is None else len(self.broken))

    @property
    def of_broken(self) -> Part:
        """The lists that are none, each as a row without columns."""
        assert self.broken is not None
        rows = self.broken.set_index("row")
        return Part(rows[[]], rows["line"].to_numpy(), none_damaged(), self.raw, rows["parent"])


def part_of(page: Page, into: Into, columns: Sequence[str], last_row: int) -> Part:
    """The part of `page` for `into`, with `columns` of each element.

    Elements of nested lists are numbered on from `last_row`; a line that could not be read counts as one of them.
    """
    if into.each is None:
        return Part(page.frame, page.lines, page.damaged, page.frame)
    first = last_row + 1
    numbers = np.arange(first, first + len(page.damaged), dtype=np.int64)
    damaged = page.damaged.assign(source_no=page.damaged["row"], row=numbers)
    children = expand(page, into.each, columns, first=first + len(damaged))
    broken = None if children.broken.empty else children.broken
    return Part(children.page.frame, children.page.lines, damaged, page.frame, children.parents, broken)
