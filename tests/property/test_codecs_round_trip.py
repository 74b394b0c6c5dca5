"""CRM value, raw text, the same CRM value: for any value of a field, through any form that loses nothing."""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime

import pandas as pd
import pyarrow as pa
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mappings.codecs.encode import encode_field
from mappings.codecs.field import Given, decode_field
from mappings.codecs.fingerprint import fingerprints
from mappings.codecs.keys import keys_of, parts_of
from mappings.codecs.reading import arrow_type
from mappings.language.entity import FieldSpec
from mappings.language.field import FieldMap
from mappings.words import INVISIBLE

MANY = settings(max_examples=100, deadline=None)
storable = st.characters(exclude_categories=("Cs",), exclude_characters="\0")


def there_and_back(values, gives, mapping, spec, decimal=None):
    field_map, field_spec = FieldMap.model_validate({"from": "X", **mapping}), FieldSpec.model_validate(spec)
    held = pa.array(values, arrow_type(gives, field_spec.scale))
    cells, refusals = encode_field("f", field_map, field_spec, {"f": held}, codes={}, decimal=decimal)
    assert not refusals
    frame = pd.DataFrame({"X": pd.array(cells["X"].to_pylist(), "string[pyarrow]")})
    reading = decode_field(Given(frame, {}, {}, decimal), "f", field_map, field_spec)
    assert not reading.refusals
    assert reading.columns["f"].to_pylist() == held.to_pylist()


@MANY
@given(st.lists(st.none() | st.integers(-(2**63), 2**63 - 1)))
def test_whole_numbers(values):
    there_and_back(values, "integer", {}, {"type": "number"})


@MANY
@given(st.data(), st.sampled_from([".", ",", None]), st.sampled_from([0, 2, 6]), st.booleans())
def test_decimals(data, decimal, scale, implied):
    limit = 10 ** (28 - scale) - 1
    values = data.draw(st.lists(st.none() | st.decimals(-limit, limit, places=scale)))
    mapping = {"scale": scale} if implied else {}
    there_and_back(values, "decimal", mapping, {"type": "decimal", "scale": scale}, decimal)


@MANY
@given(
    st.lists(st.none() | st.dates(date(1, 1, 1), date(9999, 12, 31))),
    st.sampled_from([None, "%d/%m/%Y", "%Y%m%d", "%d.%m.%Y", "%d %b %Y"]),
)
def test_dates(values, form):
    there_and_back(values, "date", {} if form is None else {"format": form}, {"type": "date"})


@MANY
@given(st.lists(st.none() | st.dates(date(1900, 1, 1), date(9999, 12, 31)) | st.dates(date(1900, 1, 1), date(1900, 4, 1))))
def test_dates_as_the_numbers_of_a_spreadsheet(values):
    there_and_back(values, "date", {"format": "excel"}, {"type": "date"})


@MANY
@given(
    st.lists(st.none() | st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31)).map(lambda d: d.replace(tzinfo=UTC))),
    st.sampled_from(
        [{}, {"timezone": "Europe/Paris"}, {"timezone": "America/New_York", "format": "%Y-%m-%d %H:%M:%S.%f%z"}]
    ),
)
def test_moments(values, mapping):
    there_and_back(values, "datetime", mapping, {"type": "datetime"})


@MANY
@given(st.lists(st.none() | st.text(storable, min_size=1)), st.booleans())
def test_text_untouched(values, html):
    composed = pa.compute.utf8_normalize(pa.array(values, pa.large_string()), "NFC").to_pylist()
    there_and_back(composed, "text", {"trim": False, "html": html}, {})


EDGES = INVISIBLE + "".join(filter(str.isspace, map(chr, range(sys.maxunicode))))


def trimmed(text):
    """As cells are: white space and characters without a width, in any order."""
    return text.strip(EDGES)


@MANY
@given(st.lists(st.lists(st.text(storable, min_size=1).filter(trimmed), min_size=2, max_size=3), min_size=1))
@example([["0", "0\u2060"], ["\u200b \ufeff1", "1"]])
def test_keys_of_different_parts_differ_and_tell_their_parts(rows):
    width = min(len(row) for row in rows)
    rows = [[trimmed(part) for part in row[:width]] for row in rows]
    frame = pd.DataFrame({str(at): pd.array([row[at] for row in rows], "string[pyarrow]") for at in range(width)})
    found = keys_of(frame, [str(at) for at in range(width)], {}).tolist()
    assert [parts_of(key) for key in found] == rows


cell = st.none() | st.text(st.sampled_from("ab01\x1b\x1f"), max_size=4)


@MANY
@given(st.lists(st.tuples(cell, cell, cell), min_size=1, max_size=30))
def test_fingerprints_agree_exactly_where_rows_do(rows):
    frame = pd.DataFrame(
        {name: pd.array([row[at] for row in rows], "string[pyarrow]") for at, name in enumerate("ABC")}
    )
    found = fingerprints(frame, ["A", "B", "C"], 11).tolist()
    assert len(set(found)) == len(set(rows))
    assert dict(zip(rows, found, strict=True)) == {row: found[rows.index(row)] for row in rows}
