"""Data Docs of a run: what was expected, what was found, and nothing that a browser would load or run."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from mappings.language.entities import Entity
from mappings.language.entity import FieldSpec
from mappings.language.flow import Into
from pipelines.stages.expect import IntoResults, RowExpectations, build_docs

ENTITY = Entity("company", "", (), (), {"name": FieldSpec(), "city": FieldSpec()}, {}, {}, ())
AT = datetime(2026, 11, 22, 8, 30, tzinfo=UTC)
HOSTILE = "<script>alert('x')</script><img src=https://x.invalid/p.png>"


def checked(label: str, *expect: dict[str, dict[str, Any]]) -> IntoResults:
    into = Into.model_validate({
        "entity": "company", "name": label, "key": "id", "fields": {"name": "name", "city": "city"}, "expect": expect,
    })
    expectations = RowExpectations(into, ENTITY)
    for start in (1, 101):
        values = {"name": [HOSTILE, "a", None, *["b"] * 7], "city": ["x"] * 10}
        frame = pd.DataFrame(values, index=range(start, start + 10)).astype("string[pyarrow]")
        expectations.check(frame)
    return IntoResults(label, expectations)


class Tags(HTMLParser):
    """Tags and the text between them, as a browser sees them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.addresses: list[str] = []
        self.shown: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.shown.append(" ".join(data.split()))

    @property
    def text(self) -> str:
        return " ".join(part for part in self.shown if part)


ONE_OF = {"expect_column_values_to_be_in_set": {"column": "name", "value_set": ["a", "b"]}}
FILLED = {"expect_column_values_to_not_be_null": {"column": "city"}}


@pytest.fixture
def page(tmp_path: Path) -> str:
    index = build_docs([checked("company", ONE_OF, FILLED)], tmp_path / "docs", title="erp, run 12", at=AT)
    assert index == tmp_path / "docs" / "index.html"
    return index.read_text("utf-8")


def test_a_page_tells_what_was_found_in_all_batches_of_the_run(page: str) -> None:
    text = Tags(page).text
    assert "erp, run 12: company" in text
    assert "values must belong to this set: a b ." in text.replace("  ", " ")
    assert "2 unexpected values found. ≈11.11% of 20 total rows." in text
    assert "values must never be null." in text
    assert "Evaluated Expectations 2 Successful Expectations 1 Unsuccessful Expectations 1" in text
    assert "batch_id" not in text


def test_values_of_the_source_are_text_and_nothing_else(page: str) -> None:
    tags = Tags(page)
    assert HOSTILE in tags.text
    assert tags.tags.isdisjoint({"script", "img", "link", "iframe", "object"})


def test_a_page_loads_nothing_and_runs_nothing(page: str) -> None:
    assert all(address.startswith("#") for address in Tags(page).addresses)
    assert not re.findall(r"(?:url\(|@import)[^>)]{0,5}https?:", page)
    assert "Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\"" in page


def test_several_intos_have_a_page_each_and_a_list(tmp_path: Path) -> None:
    folder = tmp_path / "reports" / "run_12"
    build_docs([checked("company", ONE_OF), checked("site", FILLED), checked("none")], folder, title="erp <12>", at=AT)
    assert sorted(path.name for path in folder.iterdir()) == ["company.html", "index.html", "site.html"]
    index = Tags((folder / "index.html").read_text("utf-8"))
    assert index.addresses == ["company.html", "site.html"]
    assert "company : 0 of 1 expectations met site : 1 of 1 expectations met" in index.text
    assert "erp <12>" in index.text


def test_nothing_is_written_outside_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("HOME", str(tmp_path / "here"))
    build_docs([checked("company", ONE_OF)], tmp_path / "docs", title="erp", at=AT)
    assert list((tmp_path / "here").iterdir()) == []
    assert [path.name for path in (tmp_path / "docs").iterdir()] == ["index.html"]


def test_a_run_of_which_nothing_was_expected_says_so(tmp_path: Path) -> None:
    index = build_docs([], tmp_path, title="erp", at=AT)
    assert "Nothing was expected of this run." in index.read_text("utf-8")
