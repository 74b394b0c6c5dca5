"""The way out, and the proof that nothing is lost on the way there and back."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal

import pyarrow as pa
import pytest

from mappings.codecs.cells import TEXT
from mappings.codecs.encode import encode_field
from mappings.codecs.round_trip import round_trip_problem
from mappings.errors import ConfigurationError
from mappings.language.entity import FieldSpec
from mappings.language.field import FieldMap


def problem(mapping, spec, codes=None):
    return round_trip_problem(
        FieldMap.model_validate({"from": "X", **mapping}), FieldSpec.model_validate(spec), codes or {}
    )


FORMATS = ["siren", "siret", "vat", "iban", "phone", "email", "postal_code", "country", "currency"]


@pytest.mark.parametrize(("mapping", "spec"), [
    ({}, {}), ({}, {"max": 20}), ({"max": 20}, {"max": 20}), ({"html": True}, {"type": "long_text"}),
    ({"replace": {"\\n": "\n"}}, {"type": "long_text"}), *[({}, {"format": form}) for form in FORMATS],
    ({"region": "FR"}, {"format": "phone"}), ({"pattern": r"\d+", "required": True}, {}),
    ({"values": {"1": "A", "2": "B"}}, {"type": "choice", "values": ["A", "B"]}),
    ({"values": {"1": "A"}, "else": "raw"}, {}), ({"values": {"O": True, "N": False}}, {"type": "boolean"}),
    ({"true": ["O"], "false": ["N"]}, {"type": "boolean"}), ({"blank": "keep"}, {"type": "boolean"}),
    ({}, {"type": "number"}), ({"decimal": ","}, {"type": "decimal"}), ({"scale": 2}, {"type": "decimal"}),
    ({"round": True}, {"type": "decimal"}), ({"currency": "EUR"}, {"type": "money"}),
    ({"currency": {"from": "C"}}, {"type": "money"}), ({"unit": {"from": "U"}}, {"type": "quantity", "scale": 3}),
    ({"format": "%d/%m/%Y"}, {"type": "date"}), ({"format": "excel"}, {"type": "date"}), ({}, {"type": "datetime"}),
    ({"timezone": "Europe/Paris"}, {"type": "datetime"}), ({"format": "epoch"}, {"type": "datetime"}),
    ({"format": "%d.%m.%Y %H:%M:%S", "timezone": "Europe/Paris"}, {"type": "datetime"}),
    ({"as": "datetime", "timezone": "Europe/Paris"}, {"type": "date"}),
    ({"split": ","}, {"type": "choices", "values": ["a,b", "c"]}), ({}, {"type": "choices", "values": ["a,b", "c"]}),
    ({"split": "|", "values": {"1": "a", "2": "b"}}, {"type": "choices", "values": ["a", "b"]}),
    ({"refers": "company"}, {"type": "link", "to": "company"}), ({}, {"type": "url"}), ({}, {"type": "file"}),
    ({"refers": "company", "split": ",", "many": True}, {"type": "links", "to": "company"}),
])  # fmt: skip
def test_mappings_that_lose_nothing(mapping, spec):
    assert problem(mapping, spec) is None


@pytest.mark.parametrize(("mapping", "spec", "said"), [
    ({"cut": True, "max": 10}, {}, "`cut` loses information: 'Maçonnerie d’Été' .* comes back as 'Maçonnerie'"),
    ({"max": 10}, {}, "`max` .* refused .*16 characters, at most 10"),
    ({"case": "upper"}, {}, "`case` .* 'MAÇONNERIE D’ÉTÉ'"), ({"collapse": True}, {}, "`collapse` .* 'deux espaces'"),
    ({"replace": {" ": ""}}, {}, "`replace`"), ({"as": "siret"}, {}, "`as` .* not a valid SIRET"),
    ({"values": {"1": "A", "2": "A"}}, {"type": "choice", "values": ["A"]}, "`values` .* '1' and '2' both mean 'A'"),
    ({"values": {"1": "A"}}, {"type": "choice", "values": ["A", "B"]}, "`values` .* 'B' has no code"),
    ({"blank": False}, {"type": "boolean"}, "`blank` .* blank .* comes back as False"),
    ({"scale": 0}, {"type": "decimal"}, "`scale` .* 0.01 cannot be written"),
    ({"as": "integer"}, {"type": "decimal"}, "`as` .* 0.01 cannot be written"),
    ({"format": "%d/%m/%y"}, {"type": "date"}, "`format` .* 1930-01-02 .* 2030-01-02"),
    ({"format": "%d/%m/%Y %H:%M"}, {"type": "datetime"}, "`format` .* 13:45:59"),
    ({"as": "date"}, {"type": "datetime"}, "`as` .* 00:00:00"),
    ({"extract": "(a)"}, {}, "`extract` reads"), ({"split": ",", "part": 1}, {}, "`part` reads"),
])  # fmt: skip
def test_mappings_that_lose_something_say_what(mapping, spec, said):
    found = problem(mapping, spec)
    assert found is not None
    assert re.search(said, found), found


@pytest.mark.parametrize("mapping", [
    {"first": ["A", "B"]}, {"join": {"columns": ["A"]}}, {"compute": "A * 2"}, {"constant": "x"}, {"from": "$day"},
])  # fmt: skip
def test_sources_that_cannot_be_written_back(mapping):
    field_map, spec = FieldMap.model_validate(mapping), FieldSpec()
    assert round_trip_problem(field_map, spec, {}) is not None
    with pytest.raises(ConfigurationError):
        encode_field("f", field_map, spec, {"f": pa.nulls(1, TEXT)}, codes={})


def test_a_code_table_of_the_project_is_proved_too():
    spec = {"type": "choice", "values": ["a", "b"]}
    assert problem({"values": "@t"}, spec, {"t": {"1": "a", "2": "b"}}) is None
    assert "both mean" in problem({"values": "@t"}, spec, {"t": {"1": "a", "2": "b", "3": "b"}})


def encoded(mapping, spec, values, **others):
    field_map, field_spec = FieldMap.model_validate({"from": "X", **mapping}), FieldSpec.model_validate(spec)
    cells, refusals = encode_field("f", field_map, field_spec, {"f": values, **others}, codes={}, decimal=",")
    return {column: text.to_pylist() for column, text in cells.items()}, refusals


def test_values_are_written_in_the_form_that_is_read():
    amounts = pa.array([Decimal("345016.68"), None], pa.decimal128(28, 2))
    euros = pa.array(["EUR", None], TEXT)
    assert encoded({"currency": {"from": "C"}}, {"type": "money"}, amounts, f_currency=euros)[0] == {
        "X": ["345016,68", ""],
        "C": ["EUR", ""],
    }
    assert encoded({"scale": 2}, {"type": "decimal"}, amounts)[0] == {"X": ["34501668", ""]}
    moment = pa.array([datetime(2026, 7, 1, 10, 0, tzinfo=UTC)], pa.timestamp("us", "UTC"))
    paris = {"timezone": "Europe/Paris", "format": "%d/%m/%Y %H:%M:%S"}
    assert encoded(paris, {"type": "datetime"}, moment)[0] == {"X": ["01/07/2026 12:00:00"]}
    assert encoded({}, {"type": "datetime"}, moment)[0] == {"X": ["2026-07-01T10:00:00+00:00"]}
    assert encoded({"split": ","}, {"type": "choices"}, pa.array([["a,b", "c"], None]))[0] == {"X": [r"a\,b,c", ""]}


def test_an_amount_in_another_currency_than_the_systems_only_one_is_refused():
    amounts = pa.array([Decimal("1.00"), Decimal("2.00")], pa.decimal128(28, 2))
    _, refusals = encoded({"currency": "EUR"}, {"type": "money"}, amounts, f_currency=pa.array(["EUR", "USD"], TEXT))
    assert [(refusal.code, refusal.where.tolist()) for refusal in refusals] == [("other_currency", [False, True])]
