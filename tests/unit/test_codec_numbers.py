"""Whole numbers, decimals, money and formulas."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from mappings.codecs.formula import names_in
from mappings.errors import ConfigurationError
from mappings.messages import render
from tests.codec_pages import decode, read

D = Decimal
DECIMAL = {"type": "decimal"}


@pytest.mark.parametrize("written", [
    "345016.68", "345016,68", "345 016,68", "345\u00a0016,68", "345\u202f016.68", "345.016,68", "345,016.68",
    "345'016.68",     "345’016,68", "+345016.68", "00345016,680000", "345016.68000000", "3.4501668E5",
])  # fmt: skip
def test_one_number_in_many_forms(written):
    assert read([written], DECIMAL) == [D("345016.68")]
    unsigned = written.lstrip("+")
    assert read(["-" + unsigned, f"({unsigned})", unsigned + "-"], DECIMAL) == [D("-345016.68")] * 3
    assert read([unsigned + "+"], DECIMAL) == [D("345016.68")]


def test_a_single_separator_is_the_decimal_sign_where_nothing_says_which_is():
    assert read(["1,23", "1.234", "1,234,567", "1.234.567", "12 345,678"], {"type": "decimal", "scale": 3}) == [
        D("1.23"),
        D("1.234"),
        D("1234567"),
        D("1234567"),
        D("12345.678"),
    ]


@pytest.mark.parametrize("kind", ["decimal", "number", "money", "quantity"])
@pytest.mark.parametrize("written", ["1,500", "-12,500", "(999,000)", "1,500-", "+1,500"])
def test_a_comma_that_may_be_either_is_refused_where_nothing_says_which(kind, written):
    said = {"money": {"currency": "EUR"}, "quantity": {"unit": "kg"}}.get(kind, {})
    fields, specs = {"f": {"from": "X", **said}}, {"f": {"type": kind}}
    fault = decode({"X": [written]}, fields, specs).faults.frame.iloc[0]
    assert "say `decimal`" in render(fault.code, {"field": "f", "value": written, **json.loads(fault.params)})
    assert decode({"X": [written]}, fields, specs, decimal=".").faults.frame.empty


@pytest.mark.parametrize(("written", "value"), [
    ("0,500", "0.500"), ("1234,500", "1234.500"), ("1,5", "1.5"), ("1,5000", "1.5"), ("00,120", "0.12"),
    ("1 234,500", "1234.5"), ("-0,500", "-0.5"),
])  # fmt: skip
def test_a_comma_that_cannot_part_thousands_is_the_decimal_sign(written, value):
    assert read([written], DECIMAL) == [D(value)]


def test_a_decimal_sign_that_is_known_makes_the_other_a_separator_of_thousands():
    assert read(["1.234", "1.234,5", "345016.68", "1,5"], DECIMAL, ",") == [
        D("1234"),
        D("1234.5"),
        "NOT_DECIMAL",
        D("1.5"),
    ]
    assert read(["1,234", "1,234.5", "345016,68", "1.5"], DECIMAL, ".") == [
        D("1234"),
        D("1234.5"),
        "NOT_DECIMAL",
        D("1.5"),
    ]


def test_the_fields_own_decimal_sign_comes_before_the_files():
    decoded = decode(
        {"X": ["1.234"]}, {"f": {"from": "X", "decimal": "."}}, {"f": {"type": "decimal", "scale": 3}}, decimal=","
    )
    assert decoded.values["f"].tolist() == [D("1.234")]


@pytest.mark.parametrize("written", ["", " "])
def test_blank_is_no_number(written):
    assert read([written], DECIMAL) == [None]


@pytest.mark.parametrize(
    "written", ["x", "-", ".", ",", "1 23", "12 34 567", "1..2", "0x10", "nan", "1e999", "٣", "1_0", "5%", "+5+", "-5+", "(5)+", "5-+"]
)
def test_what_is_no_number(written):
    assert read([written, "1"], DECIMAL) == ["NOT_DECIMAL", D(1)]


def test_digits_beyond_the_scale_are_refused_or_rounded_half_up():
    assert read(["1.239", "1.2300", "1.235"], DECIMAL) == ["TOO_MANY_DECIMALS", D("1.23"), "TOO_MANY_DECIMALS"]
    assert read(["1.234999", "1.235", "-1.235", "1.2", "0.005"], DECIMAL, round=True) == [
        D("1.23"),
        D("1.24"),
        D("-1.24"),
        D("1.20"),
        D("0.01"),
    ]


def test_numbers_too_large_for_the_store_are_refused():
    largest = "9" * 26
    assert read([largest, "1" + "0" * 26, "9" * 60], DECIMAL) == [D(largest), "OUT_OF_RANGE", "OUT_OF_RANGE"]
    assert read([largest + ".994", largest + ".995"], DECIMAL, round=True) == [D(largest + ".99"), "OUT_OF_RANGE"]


@pytest.mark.parametrize("scale", [0, 2])
def test_a_point_that_should_not_be_written_is_told_as_such(scale):
    decoded = decode({"X": ["12.5"]}, {"f": {"from": "X", "scale": scale}}, {"f": DECIMAL})
    fault = decoded.faults.frame.iloc[0]
    assert render(fault.code, json.loads(fault.params) | {"field": "f", "value": "12.5"}) == (
        f"f: '12.5' is not a number without a decimal sign, which `scale: {scale}` asks for"
    )


def test_numbers_written_without_their_point():
    assert read(["+000034501668", "-5", "0", "12", "1.5"], DECIMAL, scale=2) == [
        D("345016.68"),
        D("-0.05"),
        D(0),
        D("0.12"),
        "NOT_DECIMAL",
    ]
    assert read(["000000000150-", "(150)", "\u2212150", "- 150", "1E+2", "12 345", "150+", ""], DECIMAL, scale=2) == [
        D("-1.50"), D("-1.50"), D("-1.50"), D("-1.50"), D(1), D("123.45"), D("1.50"), None
    ]
    assert read(["5-", "(5)", "1.5-", "1E-2", "150-x"], DECIMAL, scale=2) == [D("-0.05"), D("-0.05")] + ["NOT_DECIMAL"] * 3
    assert read(["1.234", "1,234", "12,0"], DECIMAL, ",", scale=2) == [D("12.34"), "NOT_DECIMAL", "NOT_DECIMAL"]
    assert read(["12345"], DECIMAL, scale=3) == ["TOO_MANY_DECIMALS"]
    assert read(["12"], DECIMAL, scale=0) == [D(12)]


def test_whole_numbers():
    spec = {"type": "number"}
    assert read(["7", "-12", "007", "409.0", "1 000", "12,00"], spec) == [7, -12, 7, 409, 1000, 12]
    assert read(["12.5", "0x1F", "a", ""], spec) == ["NOT_INTEGER"] * 3 + [None]
    assert read(["12.5", "-12.5"], spec, round=True) == [13, -13]
    assert read([str(2**63 - 1), str(2**63), str(-(2**63)), "9" * 30], spec) == [
        2**63 - 1,
        "OUT_OF_RANGE",
        -(2**63),
        "OUT_OF_RANGE",
    ]
    assert read(["9" * 5000, "0" * 5000 + "7", "-0"], spec) == ["OUT_OF_RANGE", 7, 0]


def test_a_text_field_may_be_read_as_a_whole_number_and_a_number_as_a_decimal():
    assert read(["409.0", "x"], {}, as_="integer") == ["409", "NOT_INTEGER"]
    assert read(["409.0", "1.5"], {"type": "number", "scale": 2}, as_="decimal") == [409, "NOT_INTEGER"]
    assert read(["7"], DECIMAL, as_="integer") == [D("7.00")]
    with pytest.raises(ConfigurationError, match="cannot hold"):
        read(["7"], {"type": "number"}, as_="date")


def compute(expression, columns, spec=None, **more):
    decoded = decode(columns, {"f": {"compute": expression}}, {"f": spec or DECIMAL}, **more)
    values = [None if value is None or value is not value else value for value in decoded.values["f"].astype(object)]
    for fault in decoded.faults.frame.itertuples():
        values[fault.row - 1] = (fault.code, fault.params)
    return [None if str(value) == "<NA>" else value for value in values]


def test_formulas_are_exact_and_rounded_half_up_to_the_fields_scale():
    columns = {"QTY": ["3", "1", "0,1"], "PRICE": ["19,99", "2", "0,2"], "DISCOUNT": ["10", "", "0"]}
    assert compute("QTY * PRICE * (1 - DISCOUNT / 100)", columns) == [D("53.97"), None, D("0.02")]
    assert compute("QTY * PRICE * (1 - coalesce(DISCOUNT, 0) / 100)", columns) == [D("53.97"), D("2.00"), D("0.02")]
    assert compute("0.1 + 0.2", {"X": ["1"]}, {"type": "decimal", "scale": 12}) == [D("0.300000000000")]
    assert compute("-X + round(X / 3, 1)", {"X": ["1"]}) == [D("-0.70")]


def test_formulas_may_compare():
    truth = {"type": "boolean"}
    assert compute("A > 1.5", {"A": ["2", "1,5", ""]}, truth) == [True, False, None]
    assert compute("`Le type` == 'C'", {"Le type": [" C", "D", ""]}, truth) == [True, False, None]
    assert compute("(A > 1) * A", {"A": ["2", "1"]}) == [D("2.00"), D("0.00")]


def test_formulas_refuse_rows_that_cannot_be_worked_out():
    division = ("compute", '{"expression":"A / B","detail":"division by zero"}')
    no_number = ("compute_text", '{"expression":"A / B","column":"B"}')
    assert compute("A / B", {"A": ["1", "1", "0"], "B": ["0", "x", "2"]}) == [division, no_number, D("0.00")]
    assert compute("A * A", {"A": ["9" * 20]})[0][0] == "out_of_range"


def test_a_row_that_cannot_be_worked_out_tells_the_column_and_its_text():
    columns = {"A": ["1", "x", "2"], "Prix net": ["1", "n/a", "0"]}
    decoded = decode(columns, {"f": {"compute": "A / `Prix net` + A / `Prix net`"}}, {"f": DECIMAL})
    faults = decoded.faults.frame
    told = [(fault.row, render(fault.code, {"field": fault.field, "value": fault.value, **json.loads(fault.params)}))
            for fault in faults.itertuples()]
    formula = "f: A / `Prix net` + A / `Prix net` cannot be computed: "
    assert sorted(told) == [
        (2, formula + "column A holds 'x', which is no number"),
        (2, formula + "column Prix net holds 'n/a', which is no number"),
        (3, formula + "division by zero"),
    ]


@pytest.mark.parametrize(("expression", "said"), [
    ("A +* `Prix net`", "it cannot be read from '* Prix net' on"),
    ("A B", "it cannot be read from 'B' on"),
    ("(A + 2", "it cannot be read from '(A + 2' on"),
    ("A ==", "it stops too early: a value or a ')' is missing at its end"),
    (" ", "it is empty"),
    ("A * open(`Prix net`)", "'open(Prix net)' is not allowed in it"),
])  # fmt: skip
def test_what_of_a_formula_cannot_be_read_is_told_as_it_is_written(expression, said):
    with pytest.raises(ConfigurationError) as refused:
        names_in(expression)
    assert refused.value.message == f"the formula {expression.strip()!r}: {said}"


def test_a_formula_may_stand_on_several_lines():
    assert compute("A\n+ 2\n", {"A": ["1"]}) == [D("3.00")]


def test_a_row_that_has_none_of_a_formulas_columns_says_nothing():
    decoded = decode({"A": [None, "1"]}, {"f": {"compute": "A * 2"}}, {"f": DECIMAL})
    assert decoded.kept["f"].tolist() == [True, False]


def test_formulas_name_columns_with_spaces_paths_and_repeated_headers():
    assert names_in("`Prix net` * QTY#2 + a.b - $rate + round(QTY#2, 1)") == ("Prix net", "QTY#2", "a.b", "$rate")
    assert compute("$rate * A", {"A": ["2"]}, variables={"rate": "1,5"}) == [D("3.00")]


@pytest.mark.parametrize("expression", [
    "__import__('os')", "A ** 2", "A if B else C", "[A]", "A, B", "lambda: 1", "A and B", "A < B < C",
    "open(A)", "round(A)", "round(A, B)", "A == ", "", "'a' == 'b'", "A + 'b'", "A < 'b'", "f'{A}'", "A[0]",
])  # fmt: skip
def test_formulas_can_do_nothing_else(expression):
    with pytest.raises(ConfigurationError, match="the formula"):
        names_in(expression)


@pytest.mark.parametrize(("written", "hours"), [
    ("1.5h", "1.5"), ("1,5 h", "1.5"), ("8.5 hours", "8.5"), ("-0,5 h", "-0.5"), ("90.5 min", "1.5083"),
    ("1d 4h", "28"), ("2 days", "48"), ("2 jours", "48"), ("1 day, 2:00:00", "26"), ("1 days 02:00:00", "26"),
    ("1.02:00:00", "26"), ("1j 2:00", "26"), ("1 d 30 min", "24.5"), ("0.5 d", "12"),
    ("2 days 5", "NOT_DURATION"), ("1.5.2h", "NOT_DURATION"), ("1,5 h 20", "NOT_DURATION"), ("d", "NOT_DURATION"),
])  # fmt: skip
def test_days_and_parts_of_a_unit_are_durations(written, hours):
    found = read([written], {"type": "quantity", "scale": 4}, **{"as": "duration", "unit": "h"})
    assert found == [hours if hours == "NOT_DURATION" else D(hours)]


def test_durations_are_counted_in_the_unit_and_rounded_to_the_fields_digits():
    hours = {"type": "quantity", "scale": 4}
    cells = ["1:30", "26:00:00", "2h30", "1 h 05 min", "PT1H30M", "P1D", "-0:15", "20 min", "90s", "7,25", "1E1"]
    assert read(cells, hours, **{"as": "duration", "unit": "h"}) == [
        D(told) for told in ("1.5", "26", "2.5", "1.0833", "1.5", "24", "-0.25", "0.3333", "0.025", "7.25", "10")]
    minutes = {"as": "duration", "unit": "min"}
    assert read(["1:30", "2h30", "45"], hours, **minutes) == [D(90), D(150), D(45)]
    page = ["1:75", "h30", "2h75", "P", "PT", "12m30", "soon", "1:2:3:4"]
    assert read(page, hours, **minutes) == ["NOT_DURATION"] * len(page)
