"""The rows that Great Expectations refuses are those that a plain evaluation of the same rule refuses."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from typing import Any

import pandas as pd
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from mappings.language.entities import Entity
from mappings.language.entity import FieldSpec
from mappings.language.flow import Into
from pipelines.stages.expect import RowExpectations

FIELDS = {
    "name": FieldSpec(), "limit": FieldSpec(type="money"), "number": FieldSpec(type="number"),
    "day": FieldSpec(type="date"),
}
ENTITY = Entity("company", "", (), (), FIELDS, {}, {}, ())
TYPES = {"name": pa.string(), "limit": pa.decimal128(28, 2), "number": pa.int64(), "day": pa.date32()}

characters = st.characters(codec="utf-8", exclude_characters="\0")
names = st.text(characters, max_size=6) | st.sampled_from(["a", "b1", "Éa", ""])
limits = st.decimals(min_value=-(10**12), max_value=10**12, places=2, allow_nan=False, allow_infinity=False)
numbers = st.integers(-(2**53), 2**53) | st.integers(-5, 5)
days = st.dates() | st.sampled_from([date(9999, 12, 31), date(1, 1, 1), date(2026, 11, 22)])
rows = st.lists(
    st.fixed_dictionaries({
        "name": st.none() | names, "limit": st.none() | limits, "number": st.none() | numbers, "day": st.none() | days,
    }), min_size=1, max_size=40,
)
labels = st.integers(1, 10**9)


def check(kept: list[dict[str, Any]], first: int, name: str, arguments: dict[str, Any]) -> list[int]:
    index = pd.Index(range(first, first + len(kept)))
    frame = pd.DataFrame(
        {field: pd.arrays.ArrowExtensionArray(pa.array([row[field] for row in kept], kind)) if field != "name"
         else pd.array([row[field] for row in kept], dtype="string[pyarrow]") for field, kind in TYPES.items()},
        index=index,
    )
    into = Into.model_validate({
        "entity": "company", "key": "id", "fields": {field: field for field in FIELDS}, "expect": [{name: arguments}],
    })
    refused = RowExpectations(into, ENTITY).check(frame).rows - first
    return sorted(refused.tolist())


def expected(kept: list[dict[str, Any]], field: str, fits: Any) -> list[int]:
    """Rows whose value does not fit; an empty value always does."""
    return [place for place, row in enumerate(kept) if row[field] is not None and not fits(row[field])]


@settings(max_examples=25, deadline=None)
@given(rows, labels, st.sampled_from(list(TYPES)))
def test_not_null(kept: list[dict[str, Any]], first: int, field: str) -> None:
    refused = check(kept, first, "expect_column_values_to_not_be_null", {"column": field})
    assert refused == [place for place, row in enumerate(kept) if row[field] is None]


@settings(max_examples=30, deadline=None)
@given(rows, labels, st.sampled_from(list(TYPES)), st.data())
def test_in_set(kept: list[dict[str, Any]], first: int, field: str, data: st.DataObject) -> None:
    own = [row[field] for row in kept if row[field] is not None]
    other = {"name": names, "limit": limits, "number": numbers, "day": days}[field]
    allowed = data.draw(st.lists(other | st.sampled_from(own) if own else other, min_size=1, max_size=6))
    written = [as_written(value) for value in allowed]
    refused = check(kept, first, "expect_column_values_to_be_in_set", {"column": field, "value_set": written})
    assert refused == expected(kept, field, lambda value: value in allowed)
    refused = check(kept, first, "expect_column_values_to_not_be_in_set", {"column": field, "value_set": written})
    assert refused == expected(kept, field, lambda value: value not in allowed)


@settings(max_examples=30, deadline=None)
@given(rows, labels, st.sampled_from(["limit", "number", "day"]), st.booleans(), st.booleans(), st.data())
def test_between(
    kept: list[dict[str, Any]], first: int, field: str, strict_min: bool, strict_max: bool, data: st.DataObject
) -> None:
    own = [row[field] for row in kept if row[field] is not None]
    other = {"limit": limits, "number": numbers, "day": days}[field]
    bound = other | st.sampled_from(own) if own else other
    low, high = sorted([data.draw(bound), data.draw(bound)])
    refused = check(kept, first, "expect_column_values_to_be_between", {
        "column": field, "min_value": as_written(low), "max_value": as_written(high),
        "strict_min": strict_min, "strict_max": strict_max,
    })
    assert refused == expected(kept, field, lambda value: (
        (low < value if strict_min else low <= value) and (value < high if strict_max else value <= high)
    ))


@settings(max_examples=30, deadline=None)
@given(rows, labels, st.sampled_from([r"^[a-z]\d?$", r"^(?=.*\d)", "a|É", r"^.{0,2}$", r"[^a-z]", "(?i)^B"]))
def test_regex(kept: list[dict[str, Any]], first: int, regex: str) -> None:
    lines = [{**row, "name": row["name"] and row["name"].replace("\n", "")} for row in kept]
    refused = check(lines, first, "expect_column_values_to_match_regex", {"column": "name", "regex": regex})
    assert refused == expected(lines, "name", lambda value: re.search(regex, value))


def as_written(value: Any) -> Any:
    """A value as a mapping's YAML gives it: numbers as int or float, dates as text."""
    return float(value) if isinstance(value, Decimal) else value.isoformat() if isinstance(value, date) else value
