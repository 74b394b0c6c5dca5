"""Decoded columns as Great Expectations can judge them: the same values in the types that its metrics know.

::

    decoded (Arrow)          shown to the library
    text, choice, url …      str
    choices, links           str, the parts joined by |
    number                   int64
    decimal, money, quantity float64: each the double nearest to the decimal, as the mapping's own numbers are
    date, datetime           datetime64[us, UTC]
    boolean                  bool

A null is what the library takes for one (NaN, NaT, None). Expectations about text see every value as text: 12.50.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from mappings.words import KEY_SEPARATOR

Form = Literal["rows", "values", "distinct", "pattern"]
"""rows: every row, nulls included; values: the rows that have a value; distinct: each value, or combination, once;
pattern: once each way in which the fields of a row are null or equal to one another, with numbers for the values."""

_EXACT = 1 << 53
"""Whole numbers up to this are doubles."""


@dataclass(frozen=True)
class Shown:
    """A frame for the library; `codes` (distinct, pattern) tell which line of it stands for each row, or -1."""

    frame: pd.DataFrame
    codes: np.ndarray[Any, np.dtype[np.int64]] | None = None


def show(
    values: pd.DataFrame, names: Sequence[str], form: Form, *, text: bool = False, scale: int | None = None
) -> Shown:
    """The columns `names` in that form. `scale`: numbers as whole multiples of 10**-scale, so that sums are exact."""
    arrays = {name: arrow(values[name]) for name in names}
    if text:
        arrays = {name: as_text(array) for name, array in arrays.items()}
    if form == "values":
        (name, array), = arrays.items()
        return Shown(pd.DataFrame({name: _present(array.drop_null(), values.index[valid(array)])}))
    if form == "distinct":
        return _distinct(arrays)
    if form == "pattern":
        return _pattern({name: _series(array, values.index) for name, array in arrays.items()})
    return Shown(pd.DataFrame({name: _series(array, values.index, scale) for name, array in arrays.items()}))


def arrow(series: pd.Series) -> Any:
    """The Arrow array under a decoded column, in one piece; lists joined to text."""
    array = pa.array(series.array)
    array = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
    if pa.types.is_list(array.type) or pa.types.is_large_list(array.type):
        parts = array.cast(pa.list_(pa.string()))
        return pc.binary_join(parts, KEY_SEPARATOR)
    return array


def as_text(array: Any) -> Any:
    """Every value as the text that people see; null stays null."""
    return array if pa.types.is_string(array.type) else array.cast(pa.string())


def valid(array: Any) -> np.ndarray[Any, np.dtype[np.bool_]]:
    mask: np.ndarray[Any, np.dtype[np.bool_]] = array.is_valid().to_numpy(zero_copy_only=False)
    return mask


def doubles(array: Any, scale: int | None = None) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Decimals as the nearest doubles, NaN for null; with `scale`, the whole number of 10**-scale that each is.

    Up to 53 bits (15 digits) one division rounds once, so that equal decimals and equal numbers of the mapping are
    equal doubles; beyond, Arrow's own conversion is taken, which may be off by the last bit.
    """
    present = valid(array)
    low, fits = _unscaled(array)
    if fits is None or not bool(np.all(fits[present])):
        wide = array.cast(pa.float64()).to_numpy(zero_copy_only=False).astype("float64")
        return wide if scale is None else np.asarray(np.rint(wide * 10.0**scale))
    shift = array.type.scale - (scale or 0)
    result: np.ndarray[Any, np.dtype[np.float64]]
    result = low.astype("float64") / 10.0**shift if shift >= 0 else low.astype("float64") * 10.0**-shift
    result[~present] = np.nan
    return result


def _unscaled(array: Any) -> tuple[Any, Any]:
    """The whole numbers that a decimal128 array stores (their low 64 bits), and where these are all there is."""
    if not pa.types.is_decimal128(array.type) or len(array) == 0:
        return np.empty(0, "int64"), None
    words = np.frombuffer(array.buffers()[1], dtype="<i8")
    words = words[2 * array.offset : 2 * (array.offset + len(array))].reshape(-1, 2)
    low, high = words[:, 0], words[:, 1]
    return low, (high == low >> 63) & (np.abs(low) <= _EXACT)


def _present(array: Any, index: pd.Index[Any]) -> pd.Series:
    """A column without nulls."""
    kind = array.type
    if pa.types.is_decimal(kind):
        return pd.Series(doubles(array), index=index)
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return _moments(array, index)
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_floating(kind):
        return pd.Series(array.to_numpy(zero_copy_only=False), index=index)
    return pd.Series(as_text(array), index=index, dtype="str")


def _series(array: Any, index: pd.Index[Any], scale: int | None = None) -> pd.Series:
    """A column with its nulls."""
    kind = array.type
    if pa.types.is_decimal(kind):
        return pd.Series(doubles(array, scale), index=index)
    if pa.types.is_integer(kind):
        numbers = pd.Series(array.to_numpy(zero_copy_only=False), index=index)
        return numbers if scale is None else numbers * 10.0**scale
    if pa.types.is_boolean(kind) and array.null_count:
        return pd.Series(array.to_numpy(zero_copy_only=False), index=index, dtype="object")
    return _present(array, index)


def _moments(array: Any, index: pd.Index[Any]) -> pd.Series:
    naive = array.cast(pa.timestamp("us", array.type.tz if pa.types.is_timestamp(array.type) else None))
    stamps = naive.cast(pa.timestamp("us")).to_numpy(zero_copy_only=False).astype("datetime64[us]")
    return pd.Series(stamps, index=index).dt.tz_localize("UTC")


def _distinct(arrays: dict[str, Any]) -> Shown:
    if len(arrays) == 1:
        (name, array), = arrays.items()
        encoded = array.dictionary_encode()
        codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype("int64")
        found = encoded.dictionary
        return Shown(pd.DataFrame({name: _present(found, pd.RangeIndex(len(found)))}), codes)
    combined = np.zeros(len(next(iter(arrays.values()))), dtype="int64")
    for array in arrays.values():
        encoded = array.dictionary_encode(null_encoding="encode")
        own = encoded.indices.to_numpy(zero_copy_only=False).astype("int64")
        _, combined = np.unique(combined * (len(encoded.dictionary) + 1) + own, return_inverse=True)
    _, first, codes = np.unique(combined, return_index=True, return_inverse=True)
    rows = pd.RangeIndex(len(first))
    shown = {name: _series(array.take(pa.array(first)), rows) for name, array in arrays.items()}
    return Shown(pd.DataFrame(shown), codes)


def _pattern(columns: dict[str, pd.Series]) -> Shown:
    """Each field's number is the place of the first field of its row that is equal to it; NaN where it is null."""
    series = list(columns.values())
    places = np.full((len(series[0]), len(series)), np.nan)
    for place, column in enumerate(series):
        places[column.notna().to_numpy(), place] = place
        for before in range(place - 1, -1, -1):
            same = np.asarray(series[before] == column, dtype=bool)
            places[same, place] = places[same, before]
    codes = np.zeros(len(places), dtype="int64")
    for place in range(len(series)):
        found = np.where(np.isnan(places[:, place]), len(series), places[:, place]).astype("int64")
        _, codes = np.unique(codes * (len(series) + 1) + found, return_inverse=True)
    _, first, codes = np.unique(codes, return_index=True, return_inverse=True)
    return Shown(pd.DataFrame(places[first], columns=list(columns)), codes)
