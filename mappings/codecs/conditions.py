"""`when`: which rows an into takes, judged on the raw text (trimmed) of its columns."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from mappings.codecs.cells import TEXT, Mask, judged, mask_of
from mappings.codecs.columns import trimmed_cells
from mappings.errors import ConfigurationError
from mappings.language.flow import Matches, Not

if TYPE_CHECKING:
    from mappings.language.flow import Condition


def accepted(frame: pd.DataFrame, when: Mapping[str, Condition], variables: Mapping[str, str]) -> Mask:
    """Where every condition holds; a column that a row does not have counts as blank."""
    taken = np.ones(len(frame), bool)
    for column, condition in when.items():
        cells = trimmed_cells(frame, column, variables).fill_null("")
        if isinstance(condition, Matches):
            taken &= matching(cells, condition.matches)
        elif isinstance(condition, Not):
            taken &= ~_among(cells, condition.not_)
        else:
            taken &= _among(cells, condition)
    return taken


def _among(cells: Any, values: tuple[Any, ...]) -> Mask:
    return mask_of(pc.is_in(cells, value_set=pa.array([as_text(value) for value in values], TEXT)))


def matching(cells: Any, pattern: str) -> Mask:
    """Where the whole cell matches a pattern of the mapping (Python's `re`)."""
    whole = compiled(pattern)
    return mask_of(judged(cells, lambda text: whole.fullmatch(text) is not None, pa.bool_()))


def as_text(value: Any) -> str:
    """A YAML scalar as it is written in a source: true, false, 12, 2026-11-22; null is blank."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.isoformat() if isinstance(value, date | datetime) else str(value)


def compiled(pattern: str) -> re.Pattern[str]:
    """A pattern of the mapping, ready for use; raises ConfigurationError where it is no regular expression."""
    try:
        return re.compile(pattern)
    except re.error as error:
        raise ConfigurationError(
            f"{pattern!r} is not a regular expression: {error}", todo="Correct it in the mapping."
        ) from error
