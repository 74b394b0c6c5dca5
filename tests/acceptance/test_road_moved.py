"""A row that moves to another into or flow of its id space is there: it is not archived, and no conflict with itself."""

from __future__ import annotations

import pytest

from tests.road_desk import Road, roads, told

INTO = "{{entity: company, name: {0}, key: CODE, ids: customers, when: {{KIND: {1}}}, absent: {2}, fields: {{{3}}}}}"
FIELDS = "name: NAME, activity: {constant: %s}"


def flow(name: str, *intos: str) -> str:
    return f"flow: {name}\nsystem: erp\nread: {{full: true}}\ninto:\n" + "".join(f"  - {into}\n" for into in intos)


FLOWS = {
    "split": flow("split", INTO.format("small", "S", "archive", FIELDS % "small"),
                  INTO.format("large", "L", "archive", FIELDS % "large")),
    "asked": flow("asked", INTO.format("small", "S", "review", FIELDS % "small").replace("customers", "asked"),
                  INTO.format("large", "L", "review", FIELDS % "large").replace("customers", "asked")),
    "prospects": flow("prospects", INTO.format("company", "S", "archive", FIELDS % "small")),
    "customers": flow("customers", INTO.format("company", "L", "archive", FIELDS % "large")),
    "details": flow("details", "{entity: company, key: CODE, ids: customers, create: false, fields: {short: SHORT}}"),
    **{action: flow(action, *[
        INTO.format(name, kind, action, FIELDS % name).replace("customers", action).replace("when", "match: [name], when")
        for name, kind in (("small", "[S, B]"), ("large", "[L, B]"))]) for action in ("archive", "unlink")},
    **{name: flow(name, INTO.format("company", kind, "archive", FIELDS % "small").replace("customers", "shops")
                  .replace("when", "match: [name], when")) for name, kind in (("open", "S"), ("closed", "L"))},
    "listed": flow("listed", INTO.format("company", "S", "unlink", FIELDS % "small").replace("customers", "listed")),
    "notes": flow("notes", "{entity: company, key: CODE, ids: listed, create: false, fields: {short: SHORT}}"),
}
module_road, road = roads(FLOWS)
HEAD = "CODE;NAME;KIND"


def state(road: Road) -> list[tuple[str, str, bool]]:
    """(name, activity, archived) of every company."""
    return road.companies("name", "activity", "archived_at IS NOT NULL")


def entries(road: Road) -> list[tuple[str, str]]:
    """(key, label of the feed) of what is there."""
    return road.hub_sees("SELECT x.key, f.flow || '.' || f.label FROM sync.crosswalk_company x JOIN sync.feed f"
                         " ON f.id = x.feed WHERE x.absent_since IS NULL ORDER BY 1, 2")


def conflicts(road: Road) -> int:
    return int(road.one("SELECT count(*) FROM sync.conflict"))


@pytest.mark.parametrize(("was", "becomes"), [("S", "L"), ("L", "S")])
def test_a_row_that_moves_to_another_into_stays(road: Road, was: str, becomes: str) -> None:
    segment = {"S": "small", "L": "large"}
    rest = ["2;Other;S", "3;Third;L"]
    road.run("split", HEAD, f"1;Acme;{was}", *rest)
    for _ in range(2):  # there and back: what was said on the way is no news of somebody else
        (result,) = road.run_all("split", [HEAD, f"1;Acme;{becomes}", *rest])
        assert state(road)[0] == ("Acme", segment[becomes], False)
        assert entries(road)[0] == ("1", f"split.{segment[becomes]}")
        moved = {into: told(result, into) for into in ("small", "large")}
        assert moved[segment[becomes]] == {"skipped": 1, "unchanged": 1, "updated": 1}
        assert moved[segment[was]] == {"skipped": 2, "unchanged": 1, "unlinked": 1}
        was, becomes = becomes, was
    assert (conflicts(road), road.held()) == (0, [])
    road.run("split", HEAD, *rest)
    assert state(road)[0][2]


@pytest.mark.parametrize("action", ["archive", "unlink"])
def test_a_row_that_moves_under_another_key_is_the_record_that_its_old_key_leaves(road: Road, action: str) -> None:
    road.run(action, HEAD, "1;Acme;S", "2;Other;S", "3;Third;L")
    result = road.run(action, HEAD, "9;Acme;L", "2;Other;S", "3;Third;L")
    assert told(result, "large") == {"skipped": 1, "unchanged": 1, "updated": 1}
    assert told(result, "small") == {"skipped": 2, "unchanged": 1, "unlinked": 1}
    assert (state(road)[0], road.held()) == (("Acme", "large", False), [])
    assert entries(road) == [("2", f"{action}.small"), ("3", f"{action}.large"), ("9", f"{action}.large")]


def test_a_key_that_only_moved_leaves_no_record_to_another_one(road: Road) -> None:
    road.run("archive", HEAD, "1;Acme;B", "3;Third;L")
    road.run("archive", HEAD, "1;Acme;L", "9;Acme;S", "3;Third;L")
    assert road.held() == [("review", "9", "taken")]
    assert entries(road) == [("1", "archive.large"), ("3", "archive.large")]


def test_nobody_is_asked_about_a_row_that_moved(road: Road) -> None:
    road.run("asked", HEAD, "1;Acme;S", "2;Other;S", "3;Third;L")
    road.run("asked", HEAD, "1;Acme;L", "2;Other;S", "3;Third;L")
    assert (state(road)[0], road.held()) == (("Acme", "large", False), [])
    road.run("asked", HEAD, "2;Other;S", "3;Third;L")
    assert road.held() == [("review", "1", "gone")]


@pytest.mark.parametrize("first", ["customers", pytest.param("prospects", marks=pytest.mark.slow)])
def test_a_row_that_moves_to_another_flow_stays_or_comes_back(road: Road, first: str) -> None:
    day = {"prospects": ["2;Other;S", "4;Fourth;S"], "customers": ["1;Acme;L", "3;Third;L"]}
    road.run("prospects", HEAD, "1;Acme;S", "2;Other;S", "4;Fourth;S")
    road.run("customers", HEAD, "3;Third;L")
    for name in (first, *({"prospects", "customers"} - {first})):
        road.run(name, HEAD, *day[name])
    assert (state(road)[0], conflicts(road)) == (("Acme", "large", False), 0)
    assert ("1", "prospects.company") not in entries(road)
    road.run("customers", HEAD, "3;Third;L")
    assert state(road)[0][2]


def test_a_flow_that_does_not_count_what_is_absent_keeps_nothing_alive(road: Road) -> None:
    road.run("customers", HEAD, "1;Acme;L", "2;Other;L")
    road.run("details", "CODE;SHORT", "1;a", "2;b")
    road.run("customers", HEAD, "2;Other;L")
    assert [archived for _, _, archived in state(road)] == [True, False]


def test_a_row_that_is_gone_is_not_known_to_flows_that_only_add_to_it_either(road: Road) -> None:
    road.run("listed", HEAD, "1;Acme;S", "2;Other;S")
    road.run("notes", "CODE;SHORT", "1;a", "2;b")
    road.run("listed", HEAD, "2;Other;S")
    assert entries(road) == [("2", "listed.company"), ("2", "notes.company")]
    road.run("notes", "CODE;SHORT", "1;a", "2;b")
    assert (road.held(), len(state(road))) == ([("parked", "1", "waits_for")], 2)


def test_what_both_flows_have_is_archived_once_neither_has_it(road: Road) -> None:
    for name, kind in (("prospects", "S"), ("customers", "L")):
        road.run(name, HEAD, f"1;Acme;{kind}", f"2;Other;{kind}")
    road.run("prospects", HEAD, "2;Other;S")
    assert not state(road)[0][2]
    road.run("customers", HEAD, "2;Other;L")
    assert state(road)[0][2]


def test_a_row_that_is_refused_where_it_moved_to_keeps_its_record(road: Road) -> None:
    road.run("split", HEAD, "1;Acme;S", "2;Other;S", "3;Third;L")
    road.run("split", HEAD, "1;;L", "2;Other;S", "3;Third;L")
    assert ("1", "split.small") in entries(road)
    assert not any(archived for _, _, archived in state(road))
    road.run("split", HEAD, "1;Acme;L", "2;Other;S", "3;Third;L")
    assert (state(road)[0], entries(road)[0]) == (("Acme", "large", False), ("1", "split.large"))


def test_a_key_that_moved_to_another_flow_has_its_record_still(road: Road) -> None:
    road.run("open", HEAD, "1;Acme;S", "2;Other;S", "4;Fourth;S")
    road.run("closed", HEAD, "1;Acme;L", "3;Third;L")
    road.run("open", HEAD, "9;Acme;S", "2;Other;S", "4;Fourth;S")
    assert road.held() == [("review", "9", "taken")]
