"""Lists inside lists: what holds an element can be named, is its owner, and comes back in exports and replays."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pipelines.ops.export import export_held
from pipelines.runs.replay import replay
from tests.road_desk import Road, roads, told

FLOWS = {
    "orders": """
flow: orders
system: erp
read: {format: jsonl, version: rev, derive: {code: {from: lot, case: upper}, order: {from: no, max: 3, cut: true}}}
into:
  - {entity: company, key: no, fields: {name: no}}
  - {entity: equipment, name: line, each: order.lines, owner: company, key: [^no, n], fields: {number: n}}
  - entity: equipment
    name: lot
    ids: lots
    each: order.lines.lots
    owner: {entity: equipment, field: parent}
    whole: true
    key: [^^no, ^n, lot]
    fields: {number: code, name: ^^order, meter: {from: q, unit: h, required: true}}
""",
    "loose": """
flow: loose
system: erp
read: {format: jsonl}
into: {entity: equipment, each: order.lines.lots, key: [^^no, ^n, lot], fields: {number: lot}}
""",
}
module_road, road = roads(FLOWS)


def order(no: str, rev: int, **lines: dict[str, int | str]) -> str:
    held = [{"n": n, "lots": [{"lot": lot, "q": q} for lot, q in lots.items()]} for n, lots in lines.items()]
    return json.dumps({"no": no, "rev": rev, "order": {"lines": held}})


def lots(road: Road) -> list[tuple[Any, ...]]:
    return road.hub_sees("SELECT p.number, e.number, e.name, e.meter::int FROM crm.equipment e"
                         " JOIN crm.equipment p ON p.id = e.parent WHERE e.archived_at IS NULL ORDER BY 1, 2")


def known(road: Road) -> list[str]:
    found = road.hub_sees("SELECT key FROM sync.crosswalk_equipment WHERE absent_since IS NULL AND key LIKE '%|%|%'"
                          " ORDER BY 1")
    return [key for (key,) in found]


def test_elements_of_two_lists_of_a_row_are_told_apart_and_hang_on_the_element_that_holds_them(road: Road) -> None:
    row = order("4711", 1, a={"x": 1, "y": 2}, b={"x": 3})
    assert told(road.run("orders", row), "lot") == {"created": 3}
    assert lots(road) == [("a", "X", "471", 1), ("a", "Y", "471", 2), ("b", "X", "471", 3)]
    assert told(road.run("orders", row), "lot") == {"unchanged": 3}
    result = road.run("orders", order("4711", 2, a={"x": 1}, b={"x": 4}, c={}))
    assert told(result, "lot")["unlinked"] == 1
    assert known(road) == ["4711|a|x", "4711|b|x"]
    assert [row[:2] for row in lots(road) if row[3] == 4] == [("b", "X")]


def test_elements_of_a_late_row_are_superseded_with_it_however_deep_they_stand(road: Road) -> None:
    road.run("orders", order("7", 5, a={"x": 1}))
    assert told(road.run("orders", order("7", 4, a={"x": 2, "y": 1})), "lot") == {"superseded": 2}
    assert lots(road) == [("a", "X", "7", 1)]


def test_a_refused_element_is_put_right_in_an_export_where_it_stands_once(road: Road) -> None:
    road.run("orders", order("7", 1, a={"x": 1}, b={"x": "?"}))
    assert [row[1] for row in road.held()] == ["7|b|x"]
    replay(road.hub, "orders")
    assert [row[1] for row in road.held()] == ["7|b|x"]
    (written,) = export_held(road.hub, "orders", road.root / "files" / "lists_back.jsonl")
    text = written.path.read_text()
    assert text.count('"q":"?"') == 1
    corrected = text.replace('"q":"?"', '"q":9')
    assert told(road.run("orders", *corrected.splitlines(), name="corrected.jsonl"), "lot")["created"] == 1
    assert (road.held(), lots(road)) == ([], [("a", "X", "7", 1), ("b", "X", "7", 9)])


@pytest.mark.parametrize("lines", [
    [{"n": "a", "lots": {"lot": "x"}}, {"n": "b", "lots": None}, {"n": "c"}, None, {"n": "d", "lots": [{"lot": "x"}]}],
    [[{"n": "a", "lots": [{"lot": "x"}]}], [{"n": "d", "lots": [{"lot": "x"}]}]],
])
def test_what_holds_nothing_gives_no_elements(road: Road, lines: list[Any]) -> None:
    result = road.run("loose", json.dumps({"no": "1", "order": {"lines": lines}}))
    assert told(result, "equipment") == {"created": 2}
    assert known(road) == ["1|a|x", "1|d|x"]


def test_where_one_list_alone_is_on_the_way_the_row_holds_its_elements(road: Road) -> None:
    result = road.run("loose", json.dumps({"no": "1", "order": {"lines": {"n": "a", "lots": [{"lot": "x"}]}}}))
    assert told(result, "equipment") == {"rejected": 1}
    assert [row[2] for row in road.held()] == ["no_key"]


def test_lists_that_no_other_into_takes_are_exported_as_the_source_has_them(road: Road) -> None:
    held = {"lines": [{"n": "a", "lots": [{"lot": "x"}, {"lot": None}]}]}
    road.run("loose", json.dumps({"no": "1", "order": held}))
    (written,) = export_held(road.hub, "loose", road.root / "files" / "loose_back.jsonl")
    text = written.path.read_text()
    assert json.loads(text)["order"] == held
    corrected = text.replace('{"lot":null}', '{"lot":"y"}')
    assert told(road.run("loose", *corrected.splitlines(), name="loose_again.jsonl"), "equipment") == {
        "created": 1, "unchanged": 1}
    assert (road.held(), known(road)) == ([], ["1|a|x", "1|a|y"])
