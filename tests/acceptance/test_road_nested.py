"""Elements of nested lists go with the row that holds them: what a row says that is not the newest, they do not say."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pipelines.ops.rejects import open_causes
from pipelines.ops.reviews import reviews
from pipelines.runs.settling import settle_run
from tests.road_desk import Road, roads, told

pytestmark = pytest.mark.slow

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
    "strict": """
flow: strict
system: erp
read: {format: jsonl, version: rev}
guard: {updates: 1%}
into:
  - {entity: document, key: no, fields: {number: no}}
  - entity: document_line
    each: lines
    owner: document
    whole: true
    key: [^no, n]
    fields: {position: n, description: {from: what, required: true}}
""",
    "strict_plain": """
flow: strict_plain
system: erp
like: strict
read: {version: null}
""",
    "titled": """
flow: titled
system: erp
like: strict
into:
  - {entity: document, key: no, fields: {number: no, name: {from: title, required: true}}}
  - entity: document_line
    each: lines
    owner: document
    whole: true
    key: [^no, n]
    fields: {position: n, description: {from: what, required: true}}
""",
    "titled_plain": """
flow: titled_plain
system: erp
like: titled
read: {version: null}
""",
    "crew": """
flow: crew
system: erp
read: {format: jsonl, version: rev}
into:
  - {entity: company, key: no, fields: {name: no}}
  - {entity: contact, each: people, owner: company, key: [^no, n], fields: {last_name: {from: what, required: true}}}
  - {entity: address, each: people, owner: contact, key: [^no, n], fields: {city: {from: town, required: true}}}
""",
    "named": """
flow: named
system: erp
read: {format: jsonl}
into:
  - {entity: company, key: no, match: [name], aliases: true, fields: {name: title}}
  - {entity: contact, each: people, owner: company, whole: true, key: [^no, n], fields: {last_name: what}}
""",
    "tills": """
flow: tills
system: erp
read: {format: jsonl}
into:
  - {entity: company, key: customer.id, when: {customer.id: {not: ["", left out]}}, fields: {name: customer.name}}
  - {entity: document, name: owned, key: no, owner: company, fields: {number: no}}
  - entity: document
    ids: linked
    key: no
    fields: {number: no, company: {from: customer.id, refers: {entity: company, ids: tills}}}
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


def titled(title: str, row: str) -> str:
    return json.dumps(json.loads(row) | {"title": title})


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


def test_what_only_another_row_of_its_owner_may_name_is_not_gone(road: Road) -> None:
    first, second = (titled("A", row(no, 1, (1, no), (2, no), of="people")) for no in "ab")
    road.run("named", first)
    road.run("named", second)
    shorter = titled("A", row("b", 1, (1, "b"), of="people"))
    road.run("named", shorter)
    assert (still_known(road, "contact"), len(road.names())) == (["a|1", "a|2", "b|1", "b|2"], 1)
    road.run("named", first, shorter)
    assert still_known(road, "contact") == ["a|1", "a|2", "b|1"]


@pytest.mark.parametrize("flow", ["orders", "plain"])
def test_elements_of_an_older_row_that_are_as_they_were_go_with_it(road: Road, flow: str) -> None:
    road.run(flow, row("a", 1, (1, "one"), (2, "two")))
    lines_before = [(1, "one"), (2, "two")]
    # Without order marks the lines of the second row are as they were to the byte; with them only the first's are.
    result = road.run(flow, row("a", 1, *lines_before), row("a", 1, (1, "one")), row("b", 1, (1, "other")))
    assert told(result, "document_line") == {"created": 1, "unchanged": 1, "superseded": 2, "unlinked": 1}
    assert still_known(road) == ["a|1", "b|1"]


@pytest.mark.parametrize("flow", ["strict", "strict_plain"])
def test_elements_of_an_older_row_that_are_refused_go_with_it(road: Road, flow: str) -> None:
    result = road.run(flow, row("a", 1, (1, ""), (2, "two"), (3, "")), row("a", 2, (2, "two"), (4, "")))
    assert told(result, "document_line") == {"created": 1, "rejected": 1, "superseded": 3}
    assert road.held() == [("rejected", "a|4", "required")]
    assert lines(road) == [("two",)]


def test_the_elements_of_a_row_that_comes_late_and_is_refused_go_with_it(road: Road) -> None:
    road.run("titled", titled("A", row("a", 5, (1, "new"), (2, "newer"))))
    result = road.run("titled", titled("", row("a", 4, (1, "old"), (3, "gone"), (4, ""))))
    assert (told(result, "document"), told(result, "document_line")) == ({"rejected": 1}, {"superseded": 3})
    assert (lines(road), still_known(road)) == ([("new",), ("newer",)], ["a|1", "a|2"])
    assert road.held() == [("rejected", "a", "required")]


@pytest.mark.parametrize("flow", ["titled", "titled_plain"])
def test_the_elements_of_an_earlier_row_of_the_run_that_is_refused_go_with_it(road: Road, flow: str) -> None:
    earlier = titled("", row("a", 1, (1, "old"), (3, "gone"), (4, "")))
    result = road.run(flow, earlier, titled("A", row("a", 2, (1, "new"))), titled("B", row("b", 1, (1, "other"))))
    assert told(result, "document") == {"created": 2, "rejected": 1}
    assert told(result, "document_line") == {"created": 2, "superseded": 3}
    assert (lines(road), road.held()) == ([("new",), ("other",)], [])


@pytest.mark.parametrize("flow", ["titled", "titled_plain"])
def test_the_elements_of_a_newer_row_that_is_refused_stand_for_themselves(road: Road, flow: str) -> None:
    road.run(flow, titled("A", row("a", 1, (1, "old"))))
    result = road.run(flow, titled("A", row("a", 1, (1, "old"), (2, "older"))), titled("", row("a", 2, (1, "new"))))
    assert told(result, "document") == {"unchanged": 1, "rejected": 1}
    assert (told(result, "document_line")["updated"], lines(road)) == (1, [("new",), ("older",)])


def test_a_run_that_waited_decides_again_which_refused_rows_are_late(road: Road) -> None:
    road.run("titled", titled("A", row("a", 5, *[(n, "x") for n in range(1, 31)])))
    late = titled("", row("a", 4, (1, "old"), (31, "")))
    waiting = road.run("titled", late, titled("A", row("a", 6, *[(n, "y") for n in range(1, 31)])), state="review")
    settled = settle_run(road.hub, waiting.run_id, approve=True)
    assert told(settled, "document_line") == {"updated": 30, "superseded": 2}


def test_a_run_that_waited_decides_again_which_elements_go(road: Road) -> None:
    road.run("strict", row("a", 1, *[(n, "x") for n in range(1, 31)]))
    waiting = road.run("strict", row("a", 1, (1, "x"), (31, "")), row("a", 2, *[(n, "y") for n in range(1, 31)], (32, "")),
                       state="review")
    assert [cause.count for cause in reviews(road.hub).runs[0].causes] == [1]
    settled = settle_run(road.hub, waiting.run_id, approve=True)
    assert told(settled, "document_line") == {"updated": 30, "rejected": 1, "superseded": 2}
    assert road.held() == [("rejected", "a|32", "required")]


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


def test_a_refused_element_is_closed_by_a_newer_version_of_its_row_that_has_it_no_more(road: Road) -> None:
    road.run("strict", row("a", 1, (1, ""), (2, "two")), row("b", 1, (1, "")))
    road.run("strict", row("a", 2, (2, "two")))
    assert road.held() == [("rejected", "b|1", "required")]
    road.run("strict", row("b", 2))
    assert road.held() == []


def test_a_refused_element_stays_open_where_its_row_comes_late_is_refused_or_refuses_it_again(road: Road) -> None:
    road.run("titled", titled("A", row("a", 5, (1, ""))))
    (number,) = road.hub_sees("SELECT id FROM sync.held")
    for version, title, elements in ((4, "A", ()), (6, "", ()), (7, "A", ((1, ""),)), (7, "A", ((1, ""),))):
        road.run("titled", titled(title, row("a", version, *elements)))
        assert road.hub_sees("SELECT id FROM sync.held WHERE key = 'a|1' AND state = 'open'") == [number]
    road.run("titled", titled("A", row("a", 8)))
    assert road.held() == []


def test_a_refused_element_without_a_key_is_closed_by_a_newer_version_of_its_row(road: Road) -> None:
    keyless = json.dumps({"no": "a", "rev": 1, "lines": [{"what": "one"}]})
    road.run("strict", keyless)
    assert road.held() == [("rejected", None, "no_key")]
    road.run("strict", row("a", 2, (1, "one")))
    assert road.held() == []


def test_a_row_that_says_nothing_of_its_list_closes_no_element_of_it_unless_the_list_is_whole(road: Road) -> None:
    road.run("crew", row("a", 1, (1, ""), of="people"))
    assert road.held() == [("rejected", "a|1", "required"), ("rejected", "a|1", "required")]
    road.run("crew", row("a", 2, of="people"))
    road.run("crew", json.dumps({"no": "a", "rev": 3}))
    assert len(road.held()) == 2
    road.run("crew", json.dumps({"no": "a", "rev": 4, "people": [{"n": 2, "what": "Petit", "town": "Lyon"}]}))
    assert road.held() == []


def test_a_row_that_comes_back_as_it_was_closes_the_elements_of_what_came_between(road: Road) -> None:
    road.run("strict_plain", row("a", 1, (1, "one")))
    road.run("strict_plain", row("a", 1, (1, "one"), (2, "")))
    road.run("strict_plain", row("a", 1, (1, "one")))
    assert road.held() == []


def test_a_row_without_an_owner_is_refused_for_that_and_one_with_a_link_comes_in(road: Road) -> None:
    customers = [None, {"id": None}, {"id": "left out"}, {"id": "7", "name": "Anvil"}]
    result = road.run("tills", *[json.dumps({"no": no, "customer": who}) for no, who in enumerate(customers)],
                      name="tills.jsonl")
    assert told(result) == {"created": 1, "skipped": 3}
    assert told(result, "owned") == {"created": 1, "parked": 1, "rejected": 2}
    assert told(result, "document") == {"created": 3, "parked": 1}
    assert {cause.sentence for cause in open_causes(road.hub, "tills")} == {
        "company: the key of its company (customer.id) is empty or cannot be read, so the row has no owner: leave such"
        " rows out with `when`, or let them in with a link (`refers`) instead of `owner`"}
