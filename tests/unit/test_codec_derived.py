"""Derived columns: the cells that they have, what they are read from, and which files and rows they say nothing of."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from mappings.codecs.columns import UNSTORABLE, columns_needed, trimmed_cells, variables_used
from mappings.codecs.into import decode_into, is_there
from mappings.codecs.keys import keys_of
from mappings.language.derived import Derived, by_name
from mappings.language.flow import Flow, Into
from mappings.language.project import Project
from pipelines.stages.plan import mapping_digest
from tests.codec_pages import entity, page

SITE = {"site": {"constant": "LYON"}}


def flow(derive: dict[str, Any], key: Any = "K", fields: dict[str, Any] | None = None, **more: Any) -> Flow:
    into = {"entity": "thing", "key": key, "fields": fields or {}, **more}
    return Flow.model_validate({"flow": "f", "system": "erp", "read": {"derive": derive}, "into": into})


def made(derive: dict[str, Any], key: Any = "K", fields: dict[str, Any] | None = None, **more: Any) -> Into:
    return flow(derive, key, fields, **more).into[0]


def cells(text: Any, columns: dict[str, list[str | None]], above: dict[str, Any] | None = None) -> list[str | None]:
    into = made({**(above or {}), "it": text}, "it")
    found: list[str | None] = trimmed_cells(page(columns), into.key[0], {"company": "acme"}).to_pylist()
    return found


@pytest.mark.parametrize(("text", "given", "found"), [
    ({"from": "A", "max": 3, "cut": True}, ["ABCD", " AB ", "", None], ["ABC", "AB", "", None]),
    ({"from": "A", "case": "lower"}, ["ÀB-c", "", None], ["àb-c", "", None]),
    ({"from": "A", "extract": "^0*(.+)$"}, ["007", "7", "000", ""], ["7", "7", "0", ""]),
    ({"from": "A", "replace": {"FR-": ""}}, ["FR-7", "7"], ["7", "7"]),
    ({"from": "A", "split": "/", "part": -1}, ["a/b", "c", ""], ["b", "c", ""]),
    ({"from": "A", "html": True}, ["<b>x</b> &amp; y"], ["x & y"]),
    ({"from": "A", "collapse": True}, ["a \t b"], ["a b"]),
    ({"from": "A", "trim": False, "replace": {" ": "_"}}, [" a "], ["_a_"]),
    ({"constant": 7}, ["x", None], ["7", "7"]),
    ({"from": "$company", "case": "upper"}, ["x", None], ["ACME", "ACME"]),
    ({"from": "A", "max": 1, "cut": True}, [UNSTORABLE], [UNSTORABLE]),
])
def test_a_text_is_made_of_each_cell(text: Any, given: list[str | None], found: list[str | None]):
    assert cells(text, {"A": given}) == found


def test_what_is_made_of_several_columns_is_blank_where_only_a_constant_speaks():
    two: dict[str, list[str | None]] = {"A": ["1", "", None, ""], "B": ["2", "3", "4", None]}
    assert cells({"first": ["A", "B"]}, two) == ["1", "3", "4", ""]
    assert cells({"join": {"columns": ["A", "B"], "with": "-"}}, two) == ["1-2", "3", "4", ""]
    one: dict[str, list[str | None]] = {"A": ["1", "", None]}
    assert cells({"join": {"columns": ["site", "A"], "with": "-"}}, one, SITE) == ["LYON-1", "", None]


def test_a_derived_column_is_made_of_those_above_it():
    assert cells({"from": "low", "max": 2, "cut": True}, {"A": ["ABC"]}, {"low": {"from": "A", "case": "lower"}}) == ["ab"]


def test_a_key_of_a_constant_and_a_blank_cell_cannot_be_read():
    into = made(SITE, ["site", "A"])
    assert keys_of(page({"A": ["1", ""]}), into.key, {}).fillna("-").tolist() == ["LYON|1", "-"]


def test_a_derived_column_is_named_wherever_a_column_is():
    fields = {"a": {"from": "d"}, "b": {"first": ["X", "d"]}, "c": {"join": {"columns": ["d", "X"]}},
              "e": {"compute": "d * 2"}, "f": {"from": "X", "currency": {"from": "d"}}}
    into = made({"d": {"from": "N", "extract": "[0-9]+"}}, "d", fields, when={"d": "12"})
    assert columns_needed(into) == ["N", "X"]
    specs = {"a": {}, "b": {}, "c": {}, "e": {"type": "decimal"}, "f": {"type": "money"}}
    frame = page({"N": ["n12", "n13"], "X": ["", "5"]})
    decoded = decode_into(frame, into, entity(specs), variables={}, codes={})
    assert decoded.skipped.tolist() == [False, True]
    assert decoded.keys.tolist() == ["12", "13"]
    values = decoded.values.iloc[0]
    assert (values["a"], values["b"], values["c"], str(values["e"])) == ("12", "12", "12", "24.00")


def test_inside_each_it_is_made_of_the_element_and_with_a_hat_of_the_row_above():
    into = made({"low": {"from": "id", "case": "lower"}, "all": {"join": {"columns": ["$company", "low"]}}},
                ["^low", "all"], each="lines")
    assert columns_needed(into) == ["^id", "$company", "id"]
    frame = page({"id": ["B"], "^id": ["A"]})
    assert keys_of(frame, into.key, {"company": "x"}).tolist() == ["a|x b"]


def test_what_the_file_s_name_tells_is_told_through_derived_columns():
    known = flow({"site": {"from": "$company"}, **{"mixed": {"join": {"columns": ["$day", "A"]}}}}, ["site", "mixed"])
    assert variables_used(known) == {"company", "day"}
    assert [by_name(column) for column in known.into[0].key] == [True, False]


def test_a_field_is_there_where_a_column_of_the_source_that_it_is_made_of_is():
    fields = {"link": {"join": {"columns": ["site", "A"]}}, "site": {"from": "site"}, "low": {"first": ["low", "B"]}}
    into = made({**SITE, "low": {"from": "A", "case": "lower"}}, "K", fields)
    there = {name: is_there(("K",), line) for name, line in into.fields.items()}
    assert there == {"link": False, "site": True, "low": False}
    assert all(is_there(("K", "A"), line) for line in into.fields.values())


def test_a_derived_column_can_be_copied_and_shown():
    (column,) = made({"d": {"from": "A", "case": "lower"}}, "d").key
    copy = deepcopy(column)
    assert isinstance(copy, Derived)
    assert (copy, copy.text, type(str(column))) == ("d", column.text, str)


def test_rows_are_read_again_when_what_a_column_is_made_of_changes(tmp_path: Any):
    project = Project(tmp_path, {}, {"thing": entity({})}, {}, {})
    first, second = (flow({"d": {"from": "A", "case": case}}, "d") for case in ("lower", "upper"))
    assert mapping_digest(first, project) != mapping_digest(second, project)
