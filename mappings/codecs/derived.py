"""Derived columns: the text that a mapping makes of a row's cells before anything is read from them."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from mappings.codecs.cells import Cells, any_of, blank_to_null, nulled, placed, present, repeat
from mappings.codecs.columns import UNSTORABLE, trimmed_cells, unstorable
from mappings.codecs.conditions import as_text
from mappings.codecs.source_value import prepared, single, source_cells, source_parts
from mappings.codecs.text import lettered, shortened
from mappings.language.derived import Derived, in_source, roots
from mappings.language.strict import Column


def derived_cells(frame: pd.DataFrame, column: Derived, variables: Mapping[str, str], sign: str = ".") -> Cells:
    """The cells of a derived column, as those of any other: '' is blank, null where the row has none of its columns.

    `sign`: see `raw_cells`; it is for the cells that the text is made of.
    """
    text = column.text
    if not text.columns:
        return repeat(as_text(text.constant), len(frame))
    parts = source_parts(frame, text, variables, sign)
    raw = source_cells(parts, text)
    cells = lettered(single(blank_to_null(prepared(raw, text)), text), text)
    if text.max is not None:
        cells = shortened(cells, text.max)
    damaged = unstorable(raw)
    if damaged is not None:
        cells = placed(cells, damaged, repeat(UNSTORABLE, int(damaged.sum())))
    if text.join is not None:  # what stands in every row is no text of a row that says nothing itself
        own = [present(blank_to_null(part)) for part, named in zip(parts, text.columns, strict=True)
               if in_source(named)]
        cells = nulled(cells, ~any_of(len(frame), own)) if own else cells
    return nulled(cells.fill_null(""), ~present(raw))


def text_by_name(column: Column, variables: Mapping[str, str]) -> str:
    """What the file's name says of such a column (`by_name`), trimmed; '' where the name lacks the part."""
    given = {str(root)[1:]: "" for root in roots(column)} | dict(variables)
    text: str = trimmed_cells(pd.DataFrame(index=[0]), column, given)[0].as_py()
    return text
