"""The static list of expectations is what the library has."""

from __future__ import annotations

from pkgutil import iter_modules

import pytest

from mappings.check.expectations import EVERY, KNOWN, REFUSED, judges_rows
from pipelines.stages.expectations.library import implemented, load, part

OURS = {"id", "result_format", "catch_exceptions", "rendered_content", "windows", "batch_id", "library_metadata"}
"""What Navette sets itself, or has no use for."""


def test_every_expectation_of_the_library_is_known_or_refused_with_a_reason() -> None:
    for module in iter_modules(part("expectations.core").__path__):
        part(f"expectations.core.{module.name}")
    names = set(part("expectations.registry").list_registered_expectation_implementations())
    assert set(KNOWN) | set(REFUSED) == names
    assert not set(KNOWN) & set(REFUSED)
    assert all(REFUSED.values())


@pytest.mark.parametrize("name", KNOWN)
def test_parameters_are_those_of_the_library(name: str) -> None:
    known, fields = KNOWN[name], implemented(name).__fields__
    assert {word for word, held in fields.items() if held.required} <= set(known.needs)
    assert set(fields) - OURS == {*known.needs, *known.takes, *EVERY}
    assert {*known.columns, *known.values, *known.one_of} <= {*known.needs, *known.takes}


@pytest.mark.parametrize("name", KNOWN)
def test_an_expectation_is_judged_where_the_library_can(name: str) -> None:
    metric = getattr(implemented(name), "map_metric", None)
    if metric is None:
        assert not KNOWN[name].rows
        return
    providers = part("expectations.registry")._registered_metrics[f"{metric}.condition"]["providers"]
    assert not KNOWN[name].rows or "PandasExecutionEngine" in providers
    assert KNOWN[name].run == ("SqlAlchemyExecutionEngine" in providers)


def test_a_share_is_judged_on_the_run() -> None:
    name = "expect_column_values_to_not_be_null"
    assert judges_rows(name, {"column": "x"})
    assert judges_rows(name, {"column": "x", "mostly": 1.0})
    assert not judges_rows(name, {"column": "x", "mostly": 0.99})
    assert not judges_rows("expect_column_values_to_be_unique", {"column": "x"})


def test_what_the_library_seldom_uses_is_there_when_it_is_used() -> None:
    load()
    divergence = part("expectations.core.expect_column_kl_divergence_to_be_less_than")
    assert divergence.stats.entropy([0.5, 0.5], [0.5, 0.5]) == 0
    assert divergence.alt.Chart.__name__ == "Chart"
