"""The rows of one into on a page: the page's own, or the elements of a nested list of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from connectors.file.nested import SEEN, expand
from connectors.page import Page, none_damaged
from mappings.codecs.keys import keys_of
from mappings.language.derived import is_part, roots
from mappings.language.flow import Into
from mappings.language.strict import Column, Columns
from pipelines.stages.plan import IntoPlan


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


@dataclass(frozen=True)
class OwnerKey:
    """How the rows of one into tell the key of their owner: by columns of their own; by those of an element that holds
    them, which another into takes from the list at `place`; or by those of the source's row that does (`of_row`)."""

    key: Columns = ()
    columns: tuple[Column, ...] = ()  # of an element's part, where they tell it
    place: str = ""
    of_row: bool = False

    @staticmethod
    def of(plan: IntoPlan, plans: Sequence[IntoPlan]) -> OwnerKey:
        """That of the rows of `plan`, which stands among these; an empty one where they have no owner."""
        if plan.owner is None:
            return OwnerKey()
        key, each = plan.owner.owner_key or (), plan.into.each
        owner = next((other.into.each for other in plans if other.id_space in plan.owner.spaces), None)
        if each is None or owner is None or not f"{each}.".startswith(f"{owner}."):
            return OwnerKey(key, of_row=each is not None)
        place = "" if owner == each else f"{owner}{SEEN}"
        named = [root for column in key for root in roots(column)]
        return OwnerKey(key, tuple(root if is_part(root) else f"{place}{root}" for root in named), place)

    def read(self, part: Part, variables: Mapping[str, str]) -> pd.Series:
        """The key of each row's owner (see `keys_of`)."""
        if self.of_row and part.parents is not None:
            keys = keys_of(part.raw, self.key, variables).reindex(part.parents.to_numpy())
            return pd.Series(keys.to_numpy(), index=part.frame.index, dtype="string[pyarrow]")
        seen = {name: name.removeprefix(self.place) for name in part.frame.columns if name.startswith(self.place)}
        return keys_of(part.frame[list(seen)].rename(columns=seen) if self.place else part.frame, self.key, variables)


def part_of(page: Page, into: Into, columns: Sequence[str], last_row: int, held_in: str | None) -> Part:
    """The part of `page` for `into`, with `columns` of each element; its lists are `held_in` that column.

    Elements of nested lists are numbered on from `last_row`; a line that could not be read counts as one of them.
    """
    if into.each is None:
        return Part(page.frame, page.lines, page.damaged, page.frame)
    first = last_row + 1
    numbers = np.arange(first, first + len(page.damaged), dtype=np.int64)
    damaged = page.damaged.assign(source_no=page.damaged["row"], row=numbers)
    children = expand(page, into.each, columns, first=first + len(damaged), column=held_in)
    broken = None if children.broken.empty else children.broken
    return Part(children.page.frame, children.page.lines, damaged, page.frame, children.parents, broken)
