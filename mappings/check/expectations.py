"""Great Expectations' own expectations that `expect:` may name: what each takes, and whether it judges rows or the run.

::

    judged row by row   on each decoded batch; a row that does not fit is rejected
    judged on the run   once everything is landed; if it is not met, nothing is applied
    with mostly < 1     a row-by-row expectation becomes one on the run: a share cannot be told from one row

Static, so that `navette check` need not load Great Expectations (seconds); a test holds it to the library's own models.
Source of names and parameters: the expectations of great_expectations 1.24.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

EVERY = ("description", "notes", "meta", "severity")
"""What any expectation takes. severity: critical (default) | warning | info; only critical ones refuse or stop."""

_WHERE = ("row_condition", "condition_parser")
_MAP = ("mostly", *_WHERE)
_BOUNDS = ("min_value", "max_value", "strict_min", "strict_max")
_SET = ("value_set",)
_LIMITS = ("min_value", "max_value")
_PAIR = ("column_A", "column_B")


@dataclass(frozen=True)
class Known:
    """One expectation: the parameters it needs and takes beside EVERY, and what they hold."""

    rows: bool  # judged row by row
    needs: tuple[str, ...]
    takes: tuple[str, ...] = ()
    columns: tuple[str, ...] = ("column",)  # parameters that name fields
    values: tuple[str, ...] = ()  # parameters that hold values of those fields
    run: bool = True  # can be judged on the whole run (by PostgreSQL), which `mostly` asks for
    one_of: tuple[str, ...] = ()  # at least one of these must be given
    of: Literal["any", "text", "number"] = "any"  # what the fields must hold; text is asked for on the run only


KNOWN: Mapping[str, Known] = {
    # each value of one field
    "expect_column_values_to_not_be_null": Known(True, ("column",), _MAP),
    "expect_column_values_to_be_null": Known(True, ("column",), _MAP),
    "expect_column_values_to_be_in_set": Known(True, ("column", "value_set"), _MAP, values=_SET),
    "expect_column_values_to_not_be_in_set": Known(True, ("column", "value_set"), _MAP, values=_SET),
    "expect_column_values_to_be_between": Known(
        True, ("column",), (*_BOUNDS, *_MAP), values=_LIMITS, one_of=_LIMITS
    ),
    "expect_column_value_lengths_to_be_between": Known(True, ("column",), (*_BOUNDS, *_MAP), one_of=_LIMITS, of="text"),
    "expect_column_value_lengths_to_equal": Known(True, ("column", "value"), _MAP, of="text"),
    "expect_column_values_to_match_regex": Known(True, ("column", "regex"), _MAP, of="text"),
    "expect_column_values_to_not_match_regex": Known(True, ("column", "regex"), _MAP, of="text"),
    "expect_column_values_to_match_regex_list": Known(True, ("column", "regex_list"), ("match_on", *_MAP), of="text"),
    "expect_column_values_to_not_match_regex_list": Known(True, ("column", "regex_list"), _MAP, of="text"),
    "expect_column_values_to_match_strftime_format": Known(
        True, ("column", "strftime_format"), _MAP, run=False, of="text"
    ),
    "expect_column_values_to_be_dateutil_parseable": Known(True, ("column",), _MAP, run=False, of="text"),
    "expect_column_values_to_be_json_parseable": Known(True, ("column",), _MAP, run=False, of="text"),
    "expect_column_values_to_match_json_schema": Known(True, ("column", "json_schema"), _MAP, run=False, of="text"),
    # several fields of a row
    "expect_column_pair_values_to_be_equal": Known(True, _PAIR, ("ignore_row_if", *_MAP), _PAIR),
    "expect_column_pair_values_a_to_be_greater_than_b": Known(
        True, _PAIR, ("or_equal", "ignore_row_if", *_MAP), _PAIR
    ),
    "expect_column_pair_values_to_be_in_set": Known(
        True, (*_PAIR, "value_pairs_set"), ("ignore_row_if", *_MAP), _PAIR, values=("value_pairs_set",)
    ),
    "expect_multicolumn_sum_to_equal": Known(
        True, ("column_list", "sum_total"), ("ignore_row_if", *_MAP), ("column_list",), of="number"
    ),
    "expect_multicolumn_values_to_be_equal": Known(True, ("column_list",), ("ignore_row_if", *_MAP), ("column_list",)),
    "expect_select_column_values_to_be_unique_within_record": Known(
        True, ("column_list",), ("ignore_row_if", *_MAP), ("column_list",)
    ),
    # repeated values
    "expect_column_values_to_be_unique": Known(False, ("column",), _MAP),
    "expect_compound_columns_to_be_unique": Known(False, ("column_list",), ("ignore_row_if", *_MAP), ("column_list",)),
    # patterns and outliers that only the whole run can judge
    "expect_column_values_to_match_like_pattern": Known(
        False, ("column", "like_pattern"), ("escape", *_MAP), of="text"
    ),
    "expect_column_values_to_not_match_like_pattern": Known(
        False, ("column", "like_pattern"), ("escape", *_MAP), of="text"
    ),
    "expect_column_values_to_match_like_pattern_list": Known(
        False, ("column", "like_pattern_list"), ("match_on", "escape", *_MAP), of="text"
    ),
    "expect_column_values_to_not_match_like_pattern_list": Known(
        False, ("column", "like_pattern_list"), ("escape", *_MAP), of="text"
    ),
    "expect_column_value_z_scores_to_be_less_than": Known(
        False, ("column", "threshold", "double_sided"), _MAP, of="number"
    ),
    "expect_column_values_to_not_be_outliers": Known(False, ("column",), ("method", "multiplier", *_MAP), of="number"),
    # one number about a field
    "expect_column_min_to_be_between": Known(False, ("column",), (*_BOUNDS, *_WHERE), values=_LIMITS, one_of=_LIMITS),
    "expect_column_max_to_be_between": Known(False, ("column",), (*_BOUNDS, *_WHERE), values=_LIMITS, one_of=_LIMITS),
    "expect_column_mean_to_be_between": Known(False, ("column",), (*_BOUNDS, *_WHERE), one_of=_LIMITS, of="number"),
    "expect_column_median_to_be_between": Known(False, ("column",), (*_BOUNDS, *_WHERE), one_of=_LIMITS, of="number"),
    "expect_column_stdev_to_be_between": Known(False, ("column",), (*_BOUNDS, *_WHERE), one_of=_LIMITS, of="number"),
    "expect_column_sum_to_be_between": Known(False, ("column",), (*_BOUNDS, *_WHERE), one_of=_LIMITS, of="number"),
    "expect_column_quantile_values_to_be_between": Known(
        False, ("column", "quantile_ranges"), ("allow_relative_error", *_WHERE), of="number"
    ),
    "expect_column_unique_value_count_to_be_between": Known(False, ("column",), (*_BOUNDS, *_WHERE), one_of=_LIMITS),
    "expect_column_proportion_of_unique_values_to_be_between": Known(
        False, ("column",), (*_BOUNDS, *_WHERE), one_of=_LIMITS
    ),
    "expect_column_proportion_of_non_null_values_to_be_between": Known(
        False, ("column",), (*_BOUNDS, *_WHERE), one_of=_LIMITS
    ),
    "expect_column_distinct_values_to_be_in_set": Known(False, ("column", "value_set"), _WHERE, values=_SET),
    "expect_column_distinct_values_to_contain_set": Known(False, ("column", "value_set"), _WHERE, values=_SET),
    "expect_column_distinct_values_to_equal_set": Known(False, ("column", "value_set"), _WHERE, values=_SET),
    "expect_column_most_common_value_to_be_in_set": Known(
        False, ("column", "value_set"), ("ties_okay", *_WHERE), values=_SET
    ),
    # the run as a table
    "expect_table_row_count_to_be_between": Known(False, (), (*_BOUNDS, *_WHERE), (), one_of=_LIMITS),
    "expect_table_row_count_to_equal": Known(False, ("value",), _WHERE, ()),
    "expect_column_to_exist": Known(False, ("column",), ("column_index",), ()),
    "expect_table_column_count_to_be_between": Known(False, (), _LIMITS, (), one_of=_LIMITS),
    "expect_table_column_count_to_equal": Known(False, ("value",), (), ()),
    "expect_table_columns_to_match_set": Known(False, (), ("column_set", "exact_match"), (), one_of=("column_set",)),
    "expect_table_columns_to_match_ordered_list": Known(False, (), ("column_list",), (), one_of=("column_list",)),
}

_TYPES = "a field always has the type that its entity declares"
_ORDER = "a run is read in batches and not kept in the order of the file"
_SQL = "a mapping holds no SQL"

REFUSED: Mapping[str, str] = {
    "expect_column_values_to_be_of_type": _TYPES,
    "expect_column_values_to_be_in_type_list": _TYPES,
    "expect_column_type_to_be": _TYPES,
    "expect_column_values_to_be_increasing": _ORDER,
    "expect_column_values_to_be_decreasing": _ORDER,
    "expect_column_kl_divergence_to_be_less_than": "a distribution is not a property of one run",
    "expect_query_results_to_match_comparison": _SQL,
    "expect_table_row_count_to_equal_other_table": "a run is looked at by itself; there is no other table",
    "unexpected_rows_expectation": _SQL,
}
"""Expectations that cannot be had here, and why."""


def judges_rows(name: str, arguments: Mapping[str, Any]) -> bool:
    """Whether the expectation is judged row by row, and so refuses rows; else it is judged on the run."""
    return KNOWN[name].rows and arguments.get("mostly", 1) in (None, 1)
