"""`check` of `expect`: fields that are named, and are there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.check_desk import FLOW, flow_told


@pytest.mark.parametrize("entry", [
    "{expect_column_values_to_be_between: {column: '', min_value: 1}}",
    "{expect_column_values_to_be_in_set: {column: '', value_set: [1]}}",
    "{expect_column_values_to_not_be_null: {column: ''}}",
    "{expect_column_pair_values_to_be_equal: {column_A: name, column_B: ''}}",
])
def test_an_expectation_looks_at_a_field_that_has_a_name(tmp_path: Path, entry: str):
    (said,) = flow_told(tmp_path, f"{FLOW}    expect: [{entry}]\n")
    assert said.startswith("8:15: expect: ")
    assert "there is no field ''" in said
