"""Row-local expectations, judged by Great Expectations itself on decoded batches."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pandas as pd
import pyarrow as pa
import pytest

from mappings.errors import ConfigurationError, RunStopped
from mappings.faults import Faults
from mappings.language.entities import Entity
from mappings.language.entity import FieldSpec
from mappings.language.flow import Into
from mappings.messages import render
from pipelines.stages.expect import RowExpectations

ROOT = Path(__file__).resolve().parents[2]
FIELDS = {
    "name": FieldSpec(), "payment_mode": FieldSpec(type="choice", values=("transfer", "cheque")),
    "credit_limit": FieldSpec(type="money"), "balance": FieldSpec(type="decimal", scale=3),
    "headcount": FieldSpec(type="number"), "created_on": FieldSpec(type="date"), "seen_at": FieldSpec(type="datetime"),
    "tags": FieldSpec(type="choices", values=("a", "b", "c")), "parent": FieldSpec(type="link", to="company"),
}
ENTITY = Entity("company", "", (), (), FIELDS, {}, {}, ())
ARROW = {
    "credit_limit": pa.decimal128(28, 2), "balance": pa.decimal128(28, 3), "headcount": pa.int64(),
    "created_on": pa.date32(), "seen_at": pa.timestamp("us", "UTC"), "tags": pa.list_(pa.string()),
    "archived": pa.bool_(),
}


def into(*expect: dict[str, dict[str, Any]], absent: str = "") -> Into:
    mapped = {name: name for name in (*FIELDS, "type", "archived") if name != absent}
    return Into.model_validate({"entity": "company", "key": "id", "fields": mapped, "expect": expect})


def batch(labels: list[int] | None = None, **columns: list[Any]) -> pd.DataFrame:
    """Columns as decode gives them: Arrow-backed, rows named by `labels` (default 1, 2, …)."""
    arrays = {
        name: pd.array(values, dtype="string[pyarrow]") if name not in ARROW
        else pd.arrays.ArrowExtensionArray(pa.array(values, ARROW[name]))
        for name, values in columns.items()
    }
    length = len(next(iter(columns.values())))
    return pd.DataFrame(arrays, index=pd.Index(labels or range(1, length + 1), dtype="int64"))


def refused(name: str, arguments: dict[str, Any], values: pd.DataFrame) -> list[int]:
    return RowExpectations(into({name: arguments}), ENTITY).check(values).rows.tolist()


def test_a_row_that_does_not_fit_is_refused_with_what_was_expected() -> None:
    asked = {"column": "payment_mode", "value_set": ["transfer", "cheque"]}
    faults = RowExpectations(into({"expect_column_values_to_be_in_set": asked}), ENTITY).check(
        batch([7, 3, 9], payment_mode=["cash", "cheque", None])
    )
    (fault,) = faults.frame.to_dict("records")
    assert (fault["row"], fault["field"], fault["code"], fault["value"]) == (7, "payment_mode", "expectation", "cash")
    params = orjson.loads(fault["params"])
    assert params["expectation"] == "expect_column_values_to_be_in_set"
    assert params["arguments"] == asked
    assert render(fault["code"], {**params, "field": fault["field"], "value": fault["value"]}) == (
        "payment_mode: 'cash' fails expect_column_values_to_be_in_set: "
        "values must belong to this set: transfer, cheque."
    )


def test_every_expectation_that_a_row_fails_is_told() -> None:
    faults = RowExpectations(
        into(
            {"expect_column_values_to_match_regex": {"column": "name", "regex": "^[A-Z]"}},
            {"expect_column_value_lengths_to_be_between": {"column": "name", "min_value": 3}},
        ), ENTITY,
    ).check(batch(name=["Ab", "ab", "Abc"]))
    assert faults.frame["row"].tolist() == [2, 1, 2]
    assert faults.rows.tolist() == [2, 1]


@pytest.mark.parametrize(("name", "arguments"), [
    ("expect_column_values_to_be_in_set", {"column": "name", "value_set": ["b"]}),
    ("expect_column_values_to_not_be_in_set", {"column": "name", "value_set": ["a"]}),
    ("expect_column_values_to_match_regex", {"column": "name", "regex": "b"}),
    ("expect_column_values_to_not_match_regex", {"column": "name", "regex": "a"}),
    ("expect_column_values_to_match_regex_list", {"column": "name", "regex_list": ["b", "c"]}),
    ("expect_column_values_to_not_match_regex_list", {"column": "name", "regex_list": ["a", "c"]}),
    ("expect_column_value_lengths_to_equal", {"column": "name", "value": 2}),
    ("expect_column_value_lengths_to_be_between", {"column": "name", "min_value": 2}),
    ("expect_column_values_to_match_strftime_format", {"column": "name", "strftime_format": "%Y"}),
    ("expect_column_values_to_be_dateutil_parseable", {"column": "name"}),
    ("expect_column_values_to_be_json_parseable", {"column": "name"}),
    ("expect_column_values_to_be_between", {"column": "headcount", "min_value": 5}),
    ("expect_column_values_to_be_between", {"column": "credit_limit", "max_value": 1}),
])
def test_an_empty_value_is_judged_by_nothing_but_null_expectations(name: str, arguments: dict[str, Any]) -> None:
    values = batch(name=["a", None, "a"], headcount=[1, None, 1], credit_limit=[Decimal("2.00"), None, Decimal("2.00")])
    assert refused(name, arguments, values) == [1, 3]


def test_null_expectations_see_the_empty_values() -> None:
    values = batch(name=["a", None], tags=[None, ["a"]], headcount=[None, 4])
    assert refused("expect_column_values_to_not_be_null", {"column": "name"}, values) == [2]
    assert refused("expect_column_values_to_not_be_null", {"column": "tags"}, values) == [1]
    assert refused("expect_column_values_to_be_null", {"column": "headcount"}, values) == [2]


@pytest.mark.parametrize(("name", "arguments", "wrong"), [
    ("expect_column_values_to_be_between", {"column": "credit_limit", "min_value": 0.1, "max_value": 0.3}, [4, 5]),
    ("expect_column_values_to_be_between",
     {"column": "credit_limit", "min_value": 0.1, "max_value": 0.3, "strict_min": True, "strict_max": True},
     [1, 3, 4, 5]),
    ("expect_column_values_to_be_between", {"column": "credit_limit", "max_value": "0.30"}, [4]),
    ("expect_column_values_to_be_in_set", {"column": "credit_limit", "value_set": [0.1, 0.2, 123456789012.34]}, [3, 5]),
    ("expect_column_values_to_not_be_in_set", {"column": "credit_limit", "value_set": [0.3]}, [3]),
])
def test_decimals_are_compared_as_decimals(name: str, arguments: dict[str, Any], wrong: list[int]) -> None:
    limits = ["0.10", "0.20", "0.30", "123456789012.34", "-0.05"]
    assert refused(name, arguments, batch(credit_limit=[Decimal(text) for text in limits])) == wrong


def test_decimals_beyond_the_doubles_still_compare() -> None:
    values = batch(credit_limit=[Decimal("99999999999999999999.99"), None, Decimal("0.10"), Decimal("-1e20")])
    arguments = {"column": "credit_limit", "min_value": 0.1, "max_value": 1e19}
    assert refused("expect_column_values_to_be_between", arguments, values) == [1, 4]


def test_a_sum_of_decimals_has_no_rounding_of_its_own() -> None:
    values = batch(
        credit_limit=[Decimal("0.10"), Decimal("0.10"), None], balance=[Decimal("0.200"), Decimal("0.201"), Decimal(1)]
    )
    asked = {"column_list": ["credit_limit", "balance"], "sum_total": 0.3}
    assert refused("expect_multicolumn_sum_to_equal", asked, values) == [2, 3]
    assert refused("expect_multicolumn_sum_to_equal", {**asked, "ignore_row_if": "any_value_is_missing"}, values) == [2]


def test_dates_and_times_are_written_as_in_the_mapping() -> None:
    days = [date(1, 1, 1), date(2026, 11, 22), date(9999, 12, 31), None]
    between = "expect_column_values_to_be_between"
    assert refused(between, {"column": "created_on", "min_value": "2026-11-22"}, batch(created_on=days)) == [1]
    assert refused(between, {"column": "created_on", "max_value": "2026-11-22"}, batch(created_on=days)) == [3]
    in_set = {"column": "created_on", "value_set": ["9999-12-31", "0001-01-01"]}
    assert refused("expect_column_values_to_be_in_set", in_set, batch(created_on=days)) == [2]
    times = [datetime(2026, 1, 1, 7, 59, tzinfo=UTC), datetime(2026, 1, 1, 8, tzinfo=UTC)]
    for written in ("2026-01-01T08:00:00", "2026-01-01T09:00:00+01:00", "2026-01-01T08:00:00Z"):
        assert refused(between, {"column": "seen_at", "min_value": written}, batch(seen_at=times)) == [1]


def test_codes_that_yaml_reads_as_numbers_are_the_text_of_the_field() -> None:
    values = batch(name=["1", "01", "true"])
    assert refused("expect_column_values_to_be_in_set", {"column": "name", "value_set": [1, True]}, values) == [2]


def test_text_expectations_see_the_value_as_people_do() -> None:
    values = batch(credit_limit=[Decimal("12.5"), Decimal("12.55")], headcount=[10, 9], tags=[["a", "c"], ["b"]],
                   created_on=[date(2026, 11, 22), date(2025, 1, 1)])
    regex = "expect_column_values_to_match_regex"
    assert refused(regex, {"column": "credit_limit", "regex": r"0$"}, values) == [2]
    assert refused(regex, {"column": "created_on", "regex": r"^2026-"}, values) == [2]
    assert refused("expect_column_value_lengths_to_equal", {"column": "headcount", "value": 2}, values) == [2]
    assert refused("expect_column_values_to_be_in_set", {"column": "tags", "value_set": ["a|c"]}, values) == [2]


def test_pairs_of_fields() -> None:
    values = batch(
        headcount=[3, 1, None, None, 2], balance=[Decimal(2), Decimal(1), Decimal(1), None, Decimal("2.001")],
        name=["x", "y", None, None, "x"], parent=["x", "z", "q", None, None],
    )
    greater = "expect_column_pair_values_a_to_be_greater_than_b"
    asked: dict[str, Any] = {"column_A": "headcount", "column_B": "balance"}
    assert refused(greater, asked, values) == [2, 3, 5]
    assert refused(greater, {**asked, "or_equal": True, "ignore_row_if": "either_value_is_missing"}, values) == [5]
    names = {"column_A": "name", "column_B": "parent"}
    assert refused("expect_column_pair_values_to_be_equal", names, values) == [2, 3, 5]
    pairs = {**names, "value_pairs_set": [["x", "x"], ["y", "z"], ["x", None]]}
    assert refused("expect_column_pair_values_to_be_in_set", pairs, values) == [3]


def test_the_value_of_a_fault_names_the_fields_where_there_are_several() -> None:
    faults = RowExpectations(
        into({"expect_column_pair_values_to_be_equal": {"column_A": "name", "column_B": "parent"}}), ENTITY
    ).check(batch(name=["x"], parent=[None]))
    assert faults.frame.loc[0, ["field", "value"]].tolist() == ["name", "name: x, parent: (none)"]


def test_several_fields_of_a_row() -> None:
    values = batch(
        name=["x", "x", "x", None, None], parent=["x", "y", None, None, None], type=["x", "z", "t", "u", None]
    )
    three = {"column_list": ["name", "parent", "type"]}
    assert refused("expect_multicolumn_values_to_be_equal", three, values) == [2, 3, 4]
    assert refused("expect_select_column_values_to_be_unique_within_record", three, values) == [1, 4]


def test_a_row_condition_limits_what_is_judged() -> None:
    kinds = ["customer", "prospect", "customer", None]
    values = batch(type=kinds, name=[None, None, "x", None], headcount=[1, 1, None, 9])
    asked: dict[str, Any] = {"column": "name", "row_condition": 'col("type") == "customer"'}
    assert refused("expect_column_values_to_not_be_null", asked, values) == [1]
    both = {"type": "and", "conditions": [
        {"type": "comparison", "column": {"name": "type"}, "operator": "==", "parameter": "customer"},
        {"type": "nullity", "column": {"name": "headcount"}, "is_null": True},
    ]}
    in_set = {"column": "name", "value_set": ["y"], "row_condition": both}
    assert refused("expect_column_values_to_be_in_set", in_set, values) == [3]


def test_what_is_only_a_warning_is_counted_and_refuses_nothing() -> None:
    asked = {"column": "name", "regex": "^A", "severity": "warning"}
    expectations = RowExpectations(into({"expect_column_values_to_match_regex": asked}), ENTITY)
    assert not expectations.check(batch(name=["A", "b"]))
    assert expectations.judges[0].tally.unexpected == 1


def test_a_share_is_not_judged_row_by_row() -> None:
    expectations = RowExpectations(
        into({"expect_column_values_to_not_be_null": {"column": "name", "mostly": 0.9}}), ENTITY
    )
    assert not expectations
    assert not expectations.check(batch(name=[None]))


def test_counts_and_a_sample_are_kept_over_the_batches_of_a_run() -> None:
    expectations = RowExpectations(
        into({"expect_column_values_to_match_regex": {"column": "name", "regex": "^A"}}), ENTITY
    )
    for first in (1, 101):
        expectations.check(batch(list(range(first, first + 40)), name=[None, *["b"] * 14, *["A"] * 25]))
    tally = expectations.judges[0].tally
    assert (tally.element, tally.null, tally.judged, tally.unexpected) == (80, 2, 78, 28)
    assert tally.sample == ["b"] * 20


def test_a_field_that_the_source_does_not_have_is_left_alone() -> None:
    asked = {"expect_column_values_to_not_be_null": {"column": "credit_limit_currency"}}
    expectations = RowExpectations(into(asked, absent="credit_limit"), ENTITY)
    assert [item.name for item in expectations.unjudged] == ["expect_column_values_to_not_be_null"]
    assert not expectations.check(batch(name=["x"]))


def test_an_empty_batch_and_one_with_nothing_but_blanks_are_no_problem() -> None:
    expectations = RowExpectations(
        into(
            {"expect_column_values_to_be_between": {"column": "credit_limit", "min_value": 1}},
            {"expect_column_values_to_match_regex": {"column": "name", "regex": "x"}},
            {"expect_column_values_to_be_in_set": {"column": "created_on", "value_set": ["2026-01-01"]}},
        ), ENTITY,
    )
    values = batch(name=[None, None], credit_limit=[None, None], created_on=[None, None])
    assert not expectations.check(values)
    assert isinstance(expectations.check(values.iloc[:0]), Faults)


@pytest.mark.parametrize(("name", "arguments", "said"), [
    ("expect_column_values_to_be_in_sett", {"column": "name"}, "did you mean 'expect_column_values_to_be_in_set'"),
    ("expect_column_values_to_be_in_set", {"column": "name"}, "needs 'value_set'"),
    ("expect_column_values_to_be_in_set", {"column": "name", "value_set": "a"}, "value_set is a list"),
    ("expect_column_values_to_be_in_set", {"column": "nme", "value_set": ["a"]}, "did you mean 'name'"),
    ("expect_column_values_to_be_in_set", {"column": "name", "values": ["a"], "value_set": ["a"]}, "takes no 'values'"),
    ("expect_column_values_to_be_in_set", {"column": "headcount", "value_set": ["many"]}, "'many' is not a number"),
    ("expect_column_values_to_be_between", {"column": "headcount"}, "needs min_value or max_value"),
    ("expect_column_values_to_be_between", {"column": "headcount", "min_value": 2, "max_value": 1}, "larger than"),
    ("expect_column_values_to_be_between", {"column": "name", "min_value": 2}, "name is text"),
    ("expect_column_values_to_be_between", {"column": "created_on", "min_value": "22/11/2026"}, "not a date"),
    ("expect_column_values_to_match_regex", {"column": "name", "regex": "("}, "not a regular expression"),
    ("expect_column_values_to_not_be_null", {"column": "name", "mostly": 1.5}, "mostly is a share"),
    ("expect_column_values_to_be_json_parseable", {"column": "name", "mostly": 0.5}, "takes no mostly"),
    ("expect_column_values_to_not_be_null",
     {"column": "name", "row_condition": "type == 1", "condition_parser": "pandas"}, "condition_parser can only be"),
    ("expect_column_values_to_not_be_null",
     {"column": "name", "row_condition": "type == 1"}, "row_condition is written"),
    ("expect_column_values_to_not_be_null", {"column": "name", "row_condition": 'col("tpe") == "x"'}, "'type'"),
    ("expect_column_pair_values_to_be_equal", {"column_A": "name", "column_B": "headcount"}, "like with like"),
    ("expect_column_values_to_be_of_type", {"column": "name", "type_": "str"}, "cannot be had here"),
    ("expect_column_value_lengths_to_equal", {"column": "name", "value": "many"}, "value: value is not a valid float"),
    ("expect_column_mean_to_be_between", {"column": "name", "min_value": 1}, "judges numbers; name is text"),
])
def test_what_cannot_be_meant_is_a_configuration_error(name: str, arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        RowExpectations(into({name: arguments}), ENTITY)
    assert said in str(caught.value)
    assert "expect of company" in str(caught.value)


def test_what_the_library_cannot_judge_stops_the_run_in_words() -> None:
    asked = {"column": "name", "json_schema": {"type": "object"}}
    expectations = RowExpectations(into({"expect_column_values_to_match_json_schema": asked}), ENTITY)
    with pytest.raises(RunStopped, match="cannot judge name") as caught:
        expectations.check(batch(name=["no json"]))
    assert "Traceback" not in str(caught.value)


def test_great_expectations_is_loaded_only_where_something_is_expected() -> None:
    code = (
        "import sys; from pipelines.stages.expect import RowExpectations; "
        "from mappings.language.flow import Into; from mappings.language.entities import Entity; "
        "entity = Entity('company', '', (), (), {}, {}, {}, ()); "
        "into = Into.model_validate({'entity': 'company', 'key': 'id'}); "
        "assert not RowExpectations(into, entity); assert 'great_expectations' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_nothing_is_printed_or_logged(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    asked = {"column": "name", "value_set": ["a"]}
    assert refused("expect_column_values_to_be_in_set", asked, batch(name=["b"])) == [1]
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []
