"""A cell that is made a value of Tryton's and read back is the same cell."""

from __future__ import annotations

import base64
import datetime as dt
import json
from contextlib import suppress
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.tryton.cells import cell
from connectors.tryton.values import KINDS, BadCell, wire_value


def shortest(value: Decimal) -> str:
    """Without zeros at the end, which Tryton counts among the digits that a field may have."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


OF_KIND: dict[str, st.SearchStrategy[str]] = {
    "integer": st.integers(-(2**63), 2**63 - 1).map(str),
    "many2one": st.integers(1, 2**31).map(str),
    "numeric": st.decimals(allow_nan=False, allow_infinity=False, places=6).map(shortest),
    "float": st.floats(allow_nan=False, allow_infinity=False).map(cell),
    "boolean": st.sampled_from(["true", "false"]),
    "date": st.dates().map(dt.date.isoformat),
    "time": st.times().map(dt.time.isoformat),
    "datetime": st.datetimes(timezones=st.just(dt.UTC)).map(dt.datetime.isoformat),
    "timedelta": st.integers(0, 10**7).map(str),
    "binary": st.binary(min_size=1).map(lambda value: base64.b64encode(value).decode()),
    "reference": st.integers(0, 10**9).map(lambda number: f"party.party,{number}"),
    "one2many": st.lists(st.integers(1, 10**6), min_size=1, unique=True).map(lambda ids: orjson.dumps(ids).decode()),
    "dict": st.dictionaries(st.text(), st.integers(0, 9), min_size=1).map(lambda value: orjson.dumps(value).decode()),
    "char": st.text(min_size=1),
    "selection": st.text(min_size=1),
}


@pytest.mark.parametrize("kind", OF_KIND)
@given(data=st.data())
def test_a_cell_goes_there_over_the_wire_and_back(kind: str, data: st.DataObject) -> None:
    text = data.draw(OF_KIND[kind])
    value: Any = json.loads(orjson.dumps(wire_value(kind, text)))
    assert cell(value) == text


@given(st.decimals(allow_nan=False, allow_infinity=False), st.integers(0, 9))
def test_a_number_is_the_same_with_fewer_digits(value: Decimal, zeros: int) -> None:
    text = format(value, "f")
    sent = wire_value("numeric", text + "0" * zeros if "." in text else text)["decimal"]
    assert (Decimal(sent), sent) == (value, shortest(value))


@given(st.lists(st.integers(1, 10**6), unique=True))
def test_ids_may_be_texts(ids: list[int]) -> None:
    assert wire_value("many2many", orjson.dumps(list(map(str, ids))).decode()) == ids


@pytest.mark.parametrize("kind", sorted(KINDS))
@given(text=st.text(min_size=1))
def test_any_text_is_a_value_or_is_refused_with_words(kind: str, text: str) -> None:
    with suppress(BadCell):  # any other exception would end the whole write
        orjson.dumps(wire_value(kind, text))


@pytest.mark.parametrize(("kind", "text"), [
    ("integer", "12a"), ("integer", "9" * 30), ("integer", "1_000"), ("float", "inf"), ("float", "nan"), ("numeric", "NaN"),
    ("numeric", "1,5"), ("numeric", "1_0"), ("boolean", "yes"), ("date", "2026-02-30"), ("datetime", "yesterday"),
    ("many2one", "Paris"), ("reference", "party.party"), ("binary", "%%%"), ("one2many", '["a"]'), ("one2many", '{"a": 1}'),
    ("one2many", "[true]"), ("one2many", '["1.5"]'), ("one2many", '["-1"]'), ("dict", "{"), ("timedelta", "1h"), ("timedelta", "inf"),
])
def test_what_is_no_value_is_refused(kind: str, text: str) -> None:
    with pytest.raises(BadCell, match=r"\S"):
        wire_value(kind, text)


def test_a_moment_of_another_zone_is_the_same_moment() -> None:
    assert cell(wire_value("datetime", "2026-07-01T12:30:00+02:00")) == "2026-07-01T10:30:00+00:00"
    assert cell(wire_value("timestamp", "2026-07-01T10:30:00.000001")) == "2026-07-01T10:30:00.000001+00:00"


def test_nothing_is_null_and_for_a_boolean_false() -> None:
    assert [wire_value(kind, "") for kind in ("char", "integer", "date", "many2one")] == [None] * 4
    assert wire_value("boolean", "") is False
    assert cell(None) == ""
