"""Whole-run expectations, judged by Great Expectations on staged rows in PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import Engine

from crm_store.store import Store
from mappings.errors import ConfigurationError, StoreError
from mappings.language.entities import Entity
from mappings.language.entity import FieldSpec
from mappings.language.flow import Into
from mappings.messages import render
from pipelines.stages.expect import IntoResults, RunExpectations, RunFailure, build_docs

FIELDS = {
    "name": FieldSpec(), "mode": FieldSpec(), "credit_limit": FieldSpec(type="money"),
    "created_on": FieldSpec(type="date"), "seen_at": FieldSpec(type="datetime"), "number": FieldSpec(type="number"),
    "tags": FieldSpec(type="choices", values=("a", "b")), "parent": FieldSpec(type="link", to="company"),
}
ENTITY = Entity("company", "", (), (), FIELDS, {}, {}, ())
Check = Callable[..., list[RunFailure]]


@pytest.fixture
def hub(store: Store) -> Engine:
    """The hub's engine, with 1,000 staged rows in staging.r1_rows."""
    with store.owner().begin() as connection:
        connection.exec_driver_sql(
            "CREATE TABLE staging.r1_rows (row_no bigint, line bigint, key text, v_name text, v_mode text,"
            " v_credit_limit numeric, v_credit_limit_currency text, v_created_on date, v_seen_at timestamptz,"
            " v_number bigint, v_tags text[], k_parent text, keep_name boolean)"
        )
        connection.exec_driver_sql(
            "INSERT INTO staging.r1_rows SELECT i, i + 1, 'K' || i, 'n' || (i + i / 1000), CASE WHEN mod(i, 10) = 0"
            " THEN NULL WHEN mod(i, 10) = 1 THEN 'ca%%h' ELSE 'cheque' END, i * 0.1, 'EUR',"
            " date '2026-01-01' + mod(i, 100), timestamptz '2026-01-01 00:00+00' + i * interval '1 hour', i,"
            " ARRAY['a', 'b'], 'P' || mod(i, 5), false FROM generate_series(1, 1000) AS i"
        )
        connection.exec_driver_sql("UPDATE staging.r1_rows SET v_name = 'n1' WHERE row_no = 1000")
        connection.exec_driver_sql("GRANT SELECT ON staging.r1_rows TO PUBLIC")
    return store.hub()


@pytest.fixture
def check(hub: Engine) -> Check:
    def judge(*expect: dict[str, dict[str, Any]]) -> list[RunFailure]:
        return RunExpectations(into(*expect), ENTITY).check(hub, "staging", "r1_rows")

    return judge


def into(*expect: dict[str, dict[str, Any]]) -> Into:
    return Into.model_validate(
        {"entity": "company", "key": "id", "fields": {name: name for name in FIELDS}, "expect": expect}
    )


MET: list[dict[str, dict[str, Any]]] = [
    {"expect_table_row_count_to_be_between": {"min_value": 1}},
    {"expect_table_row_count_to_equal": {"value": 1000}},
    {"expect_column_values_to_be_unique": {"column": "number"}},
    {"expect_compound_columns_to_be_unique": {"column_list": ["name", "mode", "number"]}},
    {"expect_column_values_to_be_in_set": {"column": "mode", "value_set": ["cheque"], "mostly": 0.8}},
    {"expect_column_values_to_not_be_null": {"column": "mode", "mostly": 0.9}},
    {"expect_column_values_to_be_between": {
        "column": "credit_limit", "min_value": 0.1, "max_value": 90, "mostly": 0.9}},
    {"expect_column_values_to_be_between": {"column": "created_on", "min_value": "2026-01-01", "mostly": 0.99}},
    {"expect_column_values_to_be_between": {"column": "seen_at", "min_value": "2026-01-01T01:00:00Z", "mostly": 0.99}},
    {"expect_column_values_to_match_regex": {"column": "name", "regex": r"^n\d+$", "mostly": 0.9}},
    {"expect_column_values_to_match_like_pattern": {"column": "name", "like_pattern": "n%"}},
    {"expect_column_value_lengths_to_be_between": {"column": "parent", "min_value": 2, "max_value": 2, "mostly": 0.9}},
    {"expect_column_values_to_be_in_set": {"column": "tags", "value_set": ["a|b"], "mostly": 0.9}},
    {"expect_column_pair_values_a_to_be_greater_than_b": {
        "column_A": "number", "column_B": "credit_limit", "mostly": 0.9}},
    {"expect_column_mean_to_be_between": {"column": "credit_limit", "min_value": 50, "max_value": 50.1}},
    {"expect_column_median_to_be_between": {"column": "number", "min_value": 500, "max_value": 501}},
    {"expect_column_sum_to_be_between": {"column": "number", "min_value": 500500, "max_value": 500500}},
    {"expect_column_stdev_to_be_between": {"column": "number", "max_value": 300}},
    {"expect_column_min_to_be_between": {"column": "created_on", "min_value": "2026-01-01"}},
    {"expect_column_max_to_be_between": {"column": "seen_at", "max_value": "2026-03-01T00:00:00Z"}},
    {"expect_column_quantile_values_to_be_between": {
        "column": "number", "quantile_ranges": {"quantiles": [0.1, 0.9], "value_ranges": [[90, 110], [None, 910]]}}},
    {"expect_column_unique_value_count_to_be_between": {"column": "parent", "min_value": 5, "max_value": 5}},
    {"expect_column_proportion_of_unique_values_to_be_between": {"column": "number", "min_value": 1}},
    {"expect_column_proportion_of_non_null_values_to_be_between": {"column": "mode", "min_value": 0.9}},
    {"expect_column_distinct_values_to_be_in_set": {"column": "mode", "value_set": ["cheque", "ca%h"]}},
    {"expect_column_distinct_values_to_contain_set": {"column": "mode", "value_set": ["cheque"]}},
    {"expect_column_distinct_values_to_equal_set": {"column": "mode", "value_set": ["cheque", "ca%h"]}},
    {"expect_column_most_common_value_to_be_in_set": {"column": "mode", "value_set": ["cheque"]}},
    {"expect_column_value_z_scores_to_be_less_than": {"column": "number", "threshold": 3, "double_sided": True}},
    {"expect_column_values_to_not_be_outliers": {"column": "number", "method": "iqr", "multiplier": 1.5}},
    {"expect_column_to_exist": {"column": "credit_limit_currency"}},
    {"expect_table_columns_to_match_set": {"column_set": [*FIELDS, "credit_limit_currency"], "exact_match": True}},
    {"expect_table_column_count_to_equal": {"value": 9}},
    {"expect_column_values_to_be_unique": {"column": "name", "row_condition": 'col("mode") == "cheque"'}},
]


def test_a_run_that_meets_its_expectations(check: Check) -> None:
    assert check(*MET) == []


NOT_MET: list[tuple[str, dict[str, Any], str]] = [
    ("expect_table_row_count_to_be_between", {"min_value": 1001}, "found 1000"),
    ("expect_column_values_to_be_unique", {"column": "name"}, "2 of 1000 rows do not fit (0.2 %)"),
    ("expect_column_values_to_not_be_null", {"column": "mode", "mostly": 0.95}, "100 of 1000 rows do not fit (10 %)"),
    ("expect_column_values_to_be_in_set", {"column": "mode", "value_set": ["cheque"], "mostly": 0.9},
     "100 of 900 rows do not fit (11.1 %)"),
    ("expect_column_values_to_not_match_like_pattern", {"column": "mode", "like_pattern": "ca%"}, "100 of 900 rows"),
    ("expect_column_values_to_be_between", {"column": "seen_at", "max_value": "2026-01-01T05:00:00Z", "mostly": 0.5},
     "995 of 1000 rows"),
    ("expect_column_mean_to_be_between", {"column": "credit_limit", "max_value": 1}, "found 50.0"),
    ("expect_column_max_to_be_between", {"column": "created_on", "max_value": "2026-02-01"}, "found 2026-04-10"),
    ("expect_column_distinct_values_to_be_in_set", {"column": "mode", "value_set": ["cheque"]}, "found ca%h"),
    ("expect_table_columns_to_match_set", {"column_set": ["name"], "exact_match": True}, "credit_limit_currency"),
    ("expect_column_unique_value_count_to_be_between", {"column": "parent", "max_value": 4}, "found 5"),
]


def test_a_run_that_does_not_says_what_was_found(check: Check) -> None:
    failures = check(*({name: arguments} for name, arguments, _ in NOT_MET))
    for failure, (name, arguments, observed) in zip(failures, NOT_MET, strict=True):
        assert (failure.expectation, failure.arguments, failure.problem) == (name, arguments, False)
        assert observed in failure.observed
        assert failure.rule
        assert name in render("expectation_run", failure.params)
        assert orjson.loads(orjson.dumps(failure.params))["rows"] == [dict(row) for row in failure.rows]


SAMPLES: list[tuple[str, dict[str, Any], list[int]]] = [
    ("expect_column_values_to_be_unique", {"column": "name"}, [1, 1000]),
    ("expect_column_values_to_be_unique", {"column": "parent", "row_condition": 'col("number") < 7'}, [1, 6]),
    ("expect_column_values_to_be_between", {"column": "created_on", "min_value": "2026-01-02", "mostly": 0.9999},
     [100, 200, 300, 400, 500, 600, 700, 800, 900, 1000]),
    ("expect_column_pair_values_a_to_be_greater_than_b",
     {"column_A": "credit_limit", "column_B": "number", "mostly": 0.9}, list(range(1, 21))),
]


def test_a_sample_of_the_rows_that_do_not_fit(check: Check) -> None:
    failures = check(*({name: arguments} for name, arguments, _ in SAMPLES))
    found = [sorted(row["row_no"] for row in failure.rows) for failure in failures]
    assert found == [rows for _, _, rows in SAMPLES]


def test_without_a_share_it_is_judged_row_by_row_and_not_here(check: Check) -> None:
    asked = {"column": "seen_at", "min_value": "2026-01-01T03:00:00Z", "mostly": 1.0}
    assert check({"expect_column_values_to_be_between": asked}) == []


def test_a_repeated_combination_is_named_by_its_values(check: Check) -> None:
    (failure,) = check({"expect_compound_columns_to_be_unique": {"column_list": ["name", "credit_limit_currency"]}})
    assert failure.rows == ({"name": "n1", "credit_limit_currency": "EUR"},) * 2


def test_all_failures_of_a_run_are_told_at_once_and_warnings_are_not(check: Check) -> None:
    failures = check(
        {"expect_table_row_count_to_equal": {"value": 1}},
        {"expect_column_values_to_be_unique": {"column": "mode", "severity": "warning"}},
        {"expect_column_values_to_be_unique": {"column": "number"}},
        {"expect_column_values_to_be_unique": {"column": "mode"}},
    )
    assert [failure.expectation for failure in failures] == [
        "expect_table_row_count_to_equal", "expect_column_values_to_be_unique",
    ]


def test_what_cannot_be_judged_is_a_failure_in_words(check: Check) -> None:
    entry = {"column": "number", "quantile_ranges": {"quantiles": [0.5], "value_ranges": [["a", "b"]]}}
    (failure,) = check({"expect_column_quantile_values_to_be_between": entry})
    assert failure.problem
    assert failure.observed.startswith("it cannot be judged: ")
    assert "Traceback" not in failure.observed


def test_a_relation_that_is_not_there_is_a_store_error(hub: Engine) -> None:
    asked = into({"expect_table_row_count_to_equal": {"value": 1}})
    with pytest.raises(StoreError, match="r9_rows"):
        RunExpectations(asked, ENTITY).check(hub, "staging", "r9_rows")


def test_nothing_is_left_behind_in_the_session_or_the_database(hub: Engine, check: Check) -> None:
    for _ in range(2):
        check({"expect_table_row_count_to_equal": {"value": 1000}})
    with hub.connect() as connection:
        views = connection.exec_driver_sql("SELECT count(*) FROM pg_views WHERE viewname LIKE 'navette_%%'").scalar()
        assert views == 0
        assert connection.exec_driver_sql("SHOW transaction_read_only").scalar() == "off"


def test_staging_can_be_dropped_at_once(hub: Engine, check: Check, store: Store) -> None:
    check({"expect_column_values_to_be_unique": {"column": "name"}})
    with store.owner().begin() as connection:
        connection.exec_driver_sql("DROP TABLE staging.r1_rows")


def test_whole_run_results_are_told_in_the_data_docs(hub: Engine, tmp_path: Path) -> None:
    expectations = RunExpectations(
        into(
            {"expect_table_row_count_to_equal": {"value": 1}},
            {"expect_column_values_to_be_unique": {"column": "name"}},
            {"expect_column_quantile_values_to_be_between": {
                "column": "number", "quantile_ranges": {"quantiles": [0.5], "value_ranges": [["a", "b"]]}}},
        ), ENTITY,
    )
    expectations.check(hub, "staging", "r1_rows")
    at = datetime(2026, 11, 22, tzinfo=UTC)
    told = [IntoResults("company", run=expectations)]
    page = build_docs(told, tmp_path, title="erp, run 1", at=at).read_text("utf-8")
    assert "Unsuccessful Expectations" in page
    assert "1000" in page
    assert "n1" in page


def test_nothing_is_printed(check: Check, capfd: pytest.CaptureFixture[str]) -> None:
    check({"expect_column_values_to_be_unique": {"column": "name"}})
    assert capfd.readouterr() == ("", "")


def test_what_cannot_be_meant_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError, match="judges text when it looks at the whole run"):
        RunExpectations(
            into({"expect_column_values_to_match_regex": {"column": "number", "regex": "1", "mostly": 0.5}}), ENTITY
        )
    assert not RunExpectations(into({"expect_column_values_to_not_be_null": {"column": "name"}}), ENTITY)
