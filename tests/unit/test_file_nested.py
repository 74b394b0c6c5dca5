"""JSON lines: paths, exact numbers, and the rows that elements of nested lists are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from connectors.file.nested import MISSING, at_path, expand
from connectors.file.open import open_source
from connectors.page import Page
from mappings.language.read import Read

ORDER = (
    '{"no": 7, "client": {"code": "C1"}, "lines": [{"sku": "A", "q": 1}, {"sku": "B"}], "tags": ["x", "y"]}\n'
    '{"no": 8, "client": null, "lines": {"sku": "C", "q": 2.50}}\n'
    '{"no": 9, "lines": []}\n'
)


def page_of(folder: Path, text: str, *wanted: str) -> Page:
    path = folder / "a.jsonl"
    path.write_text(text, encoding="utf-8")
    return next(iter(open_source(path, Read(), columns_wanted=wanted).pages()))


@pytest.mark.parametrize(
    ("value", "path", "found"),
    [
        ({"a": {"b": 1}}, "a.b", 1), ({"a.b": 1}, "a.b", 1), ({"a": [{"b": 1}, {"b": 2}, {}]}, "a.b", [1, 2]),
        ({"a": [5, 6]}, "a.1", 6), ({"a": [5]}, "a.1", MISSING), ({"a": None}, "a.b", MISSING), ({}, "a", MISSING),
        ({"a": {"1": 2}}, "a.1", 2), ({"a": [{"b": [1, 2]}, {"b": [3]}]}, "a.b", [1, 2, 3]), (7, ".", 7),
    ],
)
def test_a_path_leads_into_objects_and_lists(value: Any, path: str, found: Any):
    assert at_path(value, path) == found if found is not MISSING else at_path(value, path) is MISSING


def test_a_missing_path_is_na_and_a_null_is_blank(tmp_path: Path):
    page = page_of(tmp_path, ORDER, "no", "client", "client.code", "tags")
    assert page.frame["client.code"].isna().tolist() == [False, True, True]
    assert page.frame["client"].tolist()[1] == ""
    assert page.frame["tags"].tolist()[0] == '["x","y"]'


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("1", "1"), ("1.50", "1.5"), ("1e3", "1000"), ("2.0", "2"), ("true", "true"),
        ("12345678901234567890123", "12345678901234567890123"),
        ("0.1234567890123456789", "0.1234567890123456789"), ("1e-7", "0.0000001"), ('"é\\n"', "é\n"), ("-0.5", "-0.5"),
    ],
)
def test_numbers_keep_every_digit(tmp_path: Path, written: str, text: str):
    page = page_of(tmp_path, f'{{"a": {written}, "b": [{written}]}}\n', "a")
    assert page.frame["a"].tolist() == [text]


def test_lines_that_are_no_object_are_damaged(tmp_path: Path):
    page = page_of(tmp_path, '{"a": 1}\n[1]\n\n"x"\n{"a":\n{"a": NaN}\n{"a": 2}', "a")
    assert page.frame["a"].tolist() == ["1", "2"]
    assert page.damaged[["row", "line", "code"]].to_numpy().tolist() == [
        [2, 2, "record"], [3, 4, "record"], [4, 5, "record"], [5, 6, "record"]
    ]
    deep = page_of(tmp_path, '{"a": 1}\n' + '{"a":' * 100_000 + "1" + "}" * 100_000 + "\n", "a")
    assert deep.damaged["code"].tolist() == ["record"]


def test_without_wanted_columns_the_first_lines_tell_them(tmp_path: Path):
    path = tmp_path / "a.jsonl"
    path.write_text(ORDER)
    assert open_source(path, Read()).columns == ("no", "client.code", "lines", "tags", "client", "lines.sku", "lines.q")


def test_elements_of_a_list_are_rows_that_know_their_parent(tmp_path: Path):
    page = page_of(tmp_path, ORDER, "no", "lines", "^client.code")
    children = expand(page, "lines", ["sku", "q", "^no", "^client.code"], first=11)
    assert children.page.frame.to_dict("list") == {
        "sku": ["A", "B", "C"], "q": ["1", None, "2.5"], "^no": ["7", "7", "8"], "^client.code": ["C1", "C1", None]
    }
    assert list(children.page.frame.index) == [11, 12, 13]
    assert children.parents.to_dict() == {11: 1, 12: 1, 13: 2}
    assert list(children.page.lines) == [1, 1, 2]
    assert all(kind == pd.StringDtype("pyarrow") for kind in children.page.frame.dtypes)


def test_plain_elements_are_reached_by_a_dot_and_broken_json_refuses_the_list(tmp_path: Path):
    page = page_of(tmp_path, ORDER, "no", "tags")
    assert expand(page, "tags", [".", "^no"]).page.frame.to_numpy().tolist() == [["x", "7"], ["y", "7"]]
    cells = page.frame.assign(tags=pd.array(['["a"]', "[oops", ""], dtype="string[pyarrow]"))
    broken = expand(Page(cells, page.lines, page.damaged), "tags", ["."])
    assert broken.page.frame.index.tolist() == [1]
    assert broken.page.damaged.empty
    assert broken.broken[["row", "parent", "line", "value"]].to_numpy().tolist() == [[2, 2, 2, "[oops"]]


def test_a_list_that_no_row_has_gives_no_rows(tmp_path: Path):
    children = expand(page_of(tmp_path, ORDER, "no"), "nothing", ["sku", "^no"])
    assert children.page.frame.empty
    assert children.page.frame.columns.tolist() == ["sku", "^no"]
