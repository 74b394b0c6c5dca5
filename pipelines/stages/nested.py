"""The rows of one into on a page: the page's own, or the elements of a nested list of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from connectors.file.nested import expand
from connectors.page import Page
from mappings.language.flow import Into


@dataclass(frozen=True)
class Part:
    """A page as one into sees it. `raw` holds the source's own rows; `parents` (by row) the row of `raw` behind each
    element of a nested list, None where the rows are the source's own."""

    frame: pd.DataFrame
    lines: npt.NDArray[np.int64]
    damaged: pd.DataFrame
    raw: pd.DataFrame
    parents: pd.Series | None = None


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
    broken = children.page.damaged
    both = broken if damaged.empty else damaged if broken.empty else pd.concat([damaged, broken], ignore_index=True)
    return Part(children.page.frame, children.page.lines, both, page.frame, children.parents)
