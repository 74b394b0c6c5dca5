"""Header lines as they should not be: told with their line, and never the rows below taken for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mappings.errors import SourceUnreadable
from tests.contract.test_hostile_files import opened, rows


@pytest.mark.parametrize(("content", "line"), [
    ('id;"name;city\n1;a;b\n2;c;d\n', 1),  # the first row became the header
    ('id;"name;city\n', 1),
    ('"id;name;city\n1;"a";b\n2;c;d\n', 1),
    ('id;"name;city\n1;tube 12";b\n2;c;d\n', 1),  # the first row became a part of the header
    ('id;name;"city\n1;a;b\n2;c;"d"\n3;e;f\n4;tube 12";x\n', 1),
    ('"id";"name;city\n1;tube 12";b\n2;c;d\n', 1),
    ('id;"name;city\ntube 12";a;b\n2;c;d\n', 1),
    ('id;"name\n1;a\n2;c\n3;12"\n4;e\n', 1),
    ('\n# two lines before it\nid;"name;city\n1;a;b\n', 3),
])
def test_an_open_quote_in_the_header_is_told_and_nothing_is_read(tmp_path: Path, content: str, line: int):
    for form in ({"comment": "#"}, {"comment": "#", "delimiter": ";"}):
        with pytest.raises(SourceUnreadable, match="a quote is opened in the header line and never closed") as told:
            opened(tmp_path, content.encode(), format={"csv": form})
        assert told.value.where == f"{tmp_path / 'a.csv'}:{line}"
        assert told.value.todo.startswith("close it in the export;")


def test_an_open_quote_in_a_header_further_down_is_told_on_its_own_line(tmp_path: Path):
    for form in ({"header": 3}, {"skip": 2}):
        with pytest.raises(SourceUnreadable, match="a quote is opened in the header line") as told:
            opened(tmp_path, b'Customers;"\n;\nid;"name;city\n1;a;b\n', format={"csv": form})
        assert told.value.where.endswith("a.csv:3")


@pytest.mark.parametrize(("content", "form", "columns"), [
    ('id;"na\nme";city\n1;a;b\n', {}, ("id", "na me", "city")),
    ('"id";"name\nof it";"city"\n1;a;b\n', {}, ("id", "name of it", "city")),
    ('"id";"name\nof it";"city"\n', {}, ("id", "name of it", "city")),
    ('id;"name\n(first; last)";city\n1;a;b\n', {}, ("id", "name (first; last)", "city")),
    ('id;"a\nb";"c\n\nd"\n1;a;b\n', {}, ("id", "a b", "c d")),
    ('"a\nb"\n1\n', {"delimiter": ";"}, ("a b",)),
    ('id;"name;city\n1;a;b\n', {"quote": None}, ("id", '"name', "city")),
])
def test_headers_may_hold_line_ends_and_quotes(
    tmp_path: Path, content: str, form: dict[str, Any], columns: tuple[str, ...]
):
    source = opened(tmp_path, content.encode(), format={"csv": form})
    assert source.columns == columns
    assert all(row[0] == "1" for row in rows(source))
