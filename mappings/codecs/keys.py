"""Keys: the parts of a row's external id, joined into one text that no two different lists of parts share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from mappings.codecs.cells import TEXT, Cells, Mask, any_of, blank_to_null, holds, nulled, present, repeat
from mappings.codecs.columns import trimmed_cells, unstorable
from mappings.codecs.derived import text_by_name
from mappings.language.derived import by_name, roots
from mappings.words import KEY_SEPARATOR

if TYPE_CHECKING:
    from mappings.language.strict import Column


def keys_of(frame: pd.DataFrame, columns: Sequence[Column], variables: Mapping[str, str]) -> pd.Series:
    """The key of each row (string[pyarrow], labelled as `frame`); NA where it cannot be read.

    A key cannot be read when a part that comes from a column is blank, when all parts are, or when a part holds
    characters that the store cannot hold.
    """
    keys = read_keys(frame, columns, variables).keys
    return pd.Series(pd.arrays.ArrowStringArray(keys), index=frame.index, name="key", dtype="string[pyarrow]")


@dataclass(frozen=True)
class Keys:
    """The keys of a page (null where unread), the parts that they are of, and by part where it is blank although the
    key needs it, and where it holds what cannot be stored."""

    keys: Cells
    parts: list[Cells]
    blank: list[Mask]
    broken: list[Mask]

    @property
    def missing(self) -> Mask:
        """Where the key lacks a part."""
        return any_of(len(self.keys), self.blank)


def read_keys(frame: pd.DataFrame, columns: Sequence[Column], variables: Mapping[str, str]) -> Keys:
    """The keys of the rows; see `keys_of` for which of them cannot be read."""
    parts = [trimmed_cells(frame, column, variables) for column in columns]
    empty = [~present(blank_to_null(part)) for part in parts]
    nowhere, none = np.zeros(len(frame), bool), np.logical_and.reduce(empty)
    named = [by_name(column) for column in columns]
    # What the file's name lacks is to blame where nothing else could be.
    blank = [lacks if not of_name else none if all(named) else nowhere
             for lacks, of_name in zip(empty, named, strict=True)]
    missing = any_of(len(frame), blank)
    broken = [nowhere if (damaged := unstorable(part)) is None else damaged & ~missing for part in parts]
    keys = nulled(joined([part.fill_null("") for part in parts]), missing | any_of(len(frame), broken))
    return Keys(keys, parts, blank, broken)


def joined(parts: Sequence[Cells]) -> Cells:
    """Parts joined by the key separator, escaped so that `a|b` and `a`, `b` stay two things; null parts give null."""
    escaped = [escape(part) for part in parts]
    return escaped[0] if len(escaped) == 1 else pc.binary_join_element_wise(*escaped, pa.scalar(KEY_SEPARATOR, TEXT))


def escape(part: Cells) -> Cells:
    """A part as it stands in a key."""
    if not holds(part, b"\\", KEY_SEPARATOR.encode()):
        return part
    return pc.replace_substring(pc.replace_substring(part, "\\", "\\\\"), KEY_SEPARATOR, f"\\{KEY_SEPARATOR}")


def joined_key(parts: Sequence[str]) -> str:
    """One key from its parts; `parts_of` is the way back."""
    whole: str = joined([pa.array([part], TEXT) for part in parts])[0].as_py()
    return whole


def parts_of(key: str) -> list[str]:
    """The way back: the parts of one key."""
    parts, current, escaped = [], "", False
    for character in key:
        if escaped or character not in (KEY_SEPARATOR, "\\"):
            current, escaped = current + character, False
        elif character == "\\":
            escaped = True
        else:
            parts.append(current)
            current = ""
    return [*parts, current]


def link_keys(given: Sequence[Cells], shape: Sequence[Column] | None, variables: Mapping[str, str]) -> Cells:
    """The key that a row refers to: its `given` parts, with the variables that the referred key's `shape` has.

    A file `CLI_{company}_…` that keys its rows by [$company, CT_NUM] may refer to one of them by CT_NUM alone. Null
    where any given part is blank: the row refers to nothing.
    """
    waiting = [blank_to_null(part) for part in given]
    empty = ~np.logical_and.reduce([present(part) for part in waiting])
    parts = [part.fill_null("") for part in waiting]
    whole = shape or ()
    said = [root for column in whole if by_name(column) for root in roots(column)]
    open_places = sum(not by_name(column) for column in whole)
    if open_places == len(parts) < len(whole) and all(str(root)[1:] in variables for root in said):
        rest = iter(parts)
        parts = [repeat(text_by_name(column, variables), len(empty)) if by_name(column) else next(rest)
                 for column in whole]
    return nulled(joined(parts), empty)


