"""The rows of one into on a page: the page's own, or the elements of a nested list of each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from connectors.page import Page
from mappings.language.flow import Into


@dataclass(frozen=True)
class Part:
    """A page as one into sees it. `raw` holds the source's own rows; `parents` the row of `raw` behind each row here
    (None: the same labels)."""

    frame: pd.DataFrame
    lines: npt.NDArray[np.int64]
    damaged: pd.DataFrame
    raw: pd.DataFrame
    parents: pd.Series | None = None


def part_of(page: Page, into: Into, last_row: int) -> Part:
    """The part of `page` for `into`; elements of nested lists are numbered on from `last_row`."""
    return Part(page.frame, page.lines, page.damaged, page.frame)
