"""Elements of nested lists go with the row that holds them: what a row says that is not the newest, they do not say."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.road_desk import Road, roads, told

FLOWS = {
    "orders": """
flow: orders
system: erp
read: {format: jsonl, version: rev}
into:
  - {entity: document, key: no, fields: {number: no}}
  - entity: document_line
    each: lines
    owner: document
    whole: true
    key: [^no, n]
    fields: {position: n, description: what}
""",
    "plain": """
flow: plain
system: erp
like: orders
read: {version: null}
""",
    "people": """
flow: people
system: erp
read: {format: jsonl, version: rev}
into:
  - {entity: company, key: no, fields: {name: no}}
  - {entity: contact, each: people, owner: company, key: [^no, n], fields: {last_name: what}}
  - {entity: address, each: people, owner: contact, key: [^no, n], fields: {city: what}}
""",
}
module_road, road = roads(FLOWS)


def row(no: str, rev: int, *lines: tuple[int, str], of: str = "lines") -> str:
    return json.dumps({"no": no, "rev": rev, of: [{"n": n, "what": what} for n, what in lines]})


def lines(road: Road, entity: str = "document_line", name: str = "description") -> list[tuple[Any, ...]]:
    """What the active lines say."""
    return road.hub_sees(f"SELECT {name} FROM crm.{entity} WHERE archived_at IS NULL ORDER BY 1")


def still_known(road: Road, feed: str = "document_line") -> list[str]:
    found = road.hub_sees(f"SELECT key FROM sync.crosswalk_{feed} WHERE absent_since IS NULL ORDER BY 1")
    return [key for (key,) in found]


@pytest.mark.parametrize("flow", ["orders", "plain"])
def test_of_two_rows_of_one_key_only_the_newest_has_elements(road: Road, flow: str) -> None:
    result = road.run(flow, row("a", 1, (1, "old"), (2, "gone")), row("b", 1, (1, "other")), row("a", 2, (1, "new")))
    assert told(result, "document") == {"created": 2, "superseded": 1}
    assert told(result, "document_line") == {"created": 2, "superseded": 2}
    assert lines(road) == [("new",), ("other",)]


@pytest.mark.parametrize("flow", ["orders", "plain"])
def test_an_element_that_only_an_older_row_of_the_run_names_is_gone(road: Road, flow: str) -> None:
    road.run(flow, row("a", 1, (1, "one"), (2, "two")))
    result = road.run(flow, row("a", 2, (1, "one"), (2, "changed")), row("a", 3, (1, "one")))
    assert (still_known(road), told(result, "document_line")["superseded"]) == (["a|1"], 2)


def test_the_elements_of_a_row_that_comes_late_neither_come_in_nor_take_others_away(road: Road) -> None:
    road.run("orders", row("a", 5, (1, "new"), (2, "newer")))
    result = road.run("orders", row("a", 4, (1, "old"), (3, "gone")))
    assert told(result, "document") == {"superseded": 1}
    assert told(result, "document_line") == {"superseded": 2}
    assert (lines(road), still_known(road)) == ([("new",), ("newer",)], ["a|1", "a|2"])


def test_records_that_hang_on_elements_go_with_the_row_too(road: Road) -> None:
    road.run("people", row("a", 5, (1, "new"), of="people"))
    result = road.run("people", row("a", 4, (1, "old"), (2, "older"), of="people"))
    assert [told(result, into) for into in ("company", "contact", "address")] == [
        {"superseded": 1}, {"superseded": 2}, {"superseded": 2}]
    assert lines(road, "address", "city") == [("new",)]
