"""Old news: rejects replayed, marks of files and rows, corrected data, and decisions on single rows."""

from __future__ import annotations

from pathlib import Path

import pytest

from mappings.language.project import require_project
from pipelines.hub import Hub
from pipelines.ops.export import export_held
from pipelines.runs.intake import run_flow
from pipelines.runs.replay import replay
from pipelines.runs.settling import settle_row
from tests.road_desk import Road, roads, told

DAILY = """
flow: {flow}
system: erp
read: {{files: "{flow}_{{day:%Y%m%d}}.csv"{more}}}
into:
  entity: company
  key: CODE
  fields: {{name: NAME, notes: NOTES, sector: {{from: SIZE, values: {{S: small}}}}}}
"""
FLOWS = {
    "daily": DAILY.format(flow="daily", more=""),
    "full": DAILY.format(flow="full", more=", full: true"),
    "versions": """
flow: versions
system: erp
read: {version: V}
into: {entity: company, key: CODE, fields: {name: NAME}}
""",
    "priced": """
flow: priced
system: erp
into:
  entity: company
  key: CODE
  fields: {name: NAME, discount: DISCOUNT, sector: {from: SIZE, values: {S: small}}}
""",
    "matched": """
flow: matched
system: erp
into: {entity: company, key: CODE, match: [name], fields: {name: NAME, notes: NOTES}}
""",
}
module_road, road = roads(FLOWS)
HEAD = "CODE;NAME;NOTES;SIZE"
MONDAY, TUESDAY, WEDNESDAY = (f"_2026010{day}.csv" for day in (5, 6, 7))


def corrected(road: Road) -> Hub:
    """The hub after the mapping was put right: the code L is known now."""
    root = road.root.with_name(road.root.name + "_corrected")
    for path in sorted((road.root / "mappings").rglob("*.yaml")):
        target = root / path.relative_to(road.root)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(path.read_text().replace("S: small", "S: small, L: large"))
    return Hub(require_project(root, {}), road.hub.home, road.hub.store, road.hub.tables)


def test_monday_s_reject_replayed_after_tuesday_s_file_changes_nothing_that_tuesday_brought(road: Road) -> None:
    road.run("daily", HEAD, "1;Monday;m;L", name="daily" + MONDAY)
    assert road.held() == [("rejected", "1", "unknown_code")]
    road.run("daily", HEAD, "1;Tuesday;t;L", "2;Other;;L", name="daily" + TUESDAY)
    hub = corrected(road)
    results = replay(hub, "daily")
    assert [told(result) for result in results] == [{"created": 2}]
    assert road.companies("name", "sector") == [("Other", "large"), ("Tuesday", "large")]
    assert road.held() == []


@pytest.mark.parametrize("flow", ["daily", "full"])
def test_monday_s_reject_corrected_in_a_file_of_any_name_changes_nothing_that_tuesday_brought(
    road: Road, flow: str
) -> None:
    road.run(flow, HEAD, "1;Monday;m;L", "2;Gone;m;L", "3;Stays;;S", name=flow + MONDAY)
    (written,) = export_held(road.hub, flow, road.root / "files" / f"corrections_{flow}.csv")
    road.run(flow, HEAD, "1;Tuesday;t;S", "3;Stays;;S", name=flow + TUESDAY)
    written.path.write_text(written.path.read_text().replace('"L";', '"S";'))
    done = run_flow(road.hub, flow, file=written.path)[-1]
    assert told(done) == ({"superseded": 1, "created": 1} if flow == "daily" else {"superseded": 2})
    assert road.names() == ["Gone", "Stays", "Tuesday"] if flow == "daily" else ["Stays", "Tuesday"]


def test_a_number_is_replayed_with_the_decimal_sign_of_its_file(road: Road) -> None:
    head = "CODE;NAME;DISCOUNT;SIZE"
    road.run("priced", head, "1;A;12,5;S", "2;B;1,234;L", name="comma.csv")
    road.run("priced", head, "3;C;12.5;S", "4;D;1.234;L", name="point.csv")
    hub = corrected(road)
    assert [told(result) for result in replay(hub, "priced")] == [{"created": 1}, {"created": 1}]
    assert [float(value) for name, value in road.companies("name", "discount") if name in "BD"] == [1.234, 1.234]
    assert replay(hub, "priced") == []


def test_a_number_of_a_corrected_export_has_the_decimal_sign_of_the_flow_s_files(road: Road) -> None:
    told_first = (f"{number};{'x' * 200};12,5;S" for number in range(6_000))  # the beginning tells the sign
    road.run("priced", "CODE;NAME;DISCOUNT;SIZE", *told_first, "b;B;1.234;L", name="some.csv")
    (written,) = export_held(road.hub, "priced", road.root / "files" / "priced.csv")
    written.path.write_text(written.path.read_text().replace('"L";', '"S";'))
    result = run_flow(road.hub, "priced", file=written.path)[-1]
    assert told(result) == {"created": 1}
    assert [float(value) for name, value in road.companies("name", "discount") if name == "B"] == [1234]


def test_a_reject_whose_entry_is_newer_by_now_is_superseded(road: Road) -> None:
    road.run("daily", HEAD, "1;Monday;m;L", name="daily" + MONDAY)
    [held] = road.hub_sees("SELECT id FROM sync.held")
    road.hub_sees("UPDATE sync.held SET state = 'dismissed' WHERE id = %s", held[0])
    road.run("daily", HEAD, "1;Tuesday;t;S", name="daily" + TUESDAY)
    road.hub_sees("UPDATE sync.held SET state = 'open' WHERE id = %s", held[0])
    [result] = replay(corrected(road), "daily")
    assert told(result) == {"superseded": 1}
    assert (road.companies("name", "notes"), road.held()) == ([("Tuesday", "t")], [])


def test_a_row_that_was_the_same_on_tuesday_is_tuesday_s_news(road: Road) -> None:
    road.run("daily", HEAD, "1;Same;;S", name="daily_20260104.csv")
    road.run("daily", HEAD, "1;Same;;S", name="daily" + TUESDAY)
    assert told(road.run("daily", HEAD, "1;Late;;S", name="daily" + MONDAY)) == {"superseded": 1}
    assert road.names() == ["Same"]
    road.run("full", HEAD, "9;Same;;S", name="full_20260104.csv")
    road.run("full", HEAD, "9;Same;;S", name="full" + TUESDAY)
    assert told(road.run("full", HEAD, "9;Late;;S", name="full" + MONDAY)) == {"superseded": 1}
    assert told(road.run("full", HEAD, "9;Late;;S", name="full" + MONDAY, full=False)) == {"superseded": 1}


def test_files_of_changes_in_sequence_each_bring_theirs(road: Road) -> None:
    for day, name in ((MONDAY, "one"), (TUESDAY, "two"), (WEDNESDAY, "three")):
        counts = road.counts("daily", HEAD, f"1;{name};;S", f"{name};{name};;S", name="daily" + day)
        assert "superseded" not in counts
    assert road.names() == ["one", "three", "three", "two"]
    assert road.companies("version")[1] in [(1,), (3,)]


def test_the_same_day_s_file_again_may_correct_it(road: Road) -> None:
    road.run("daily", HEAD, "1;wrong;;S", name="daily" + MONDAY)
    assert road.counts("daily", HEAD, "1;right;;S", name="daily" + MONDAY) == {"updated": 1}


def test_rows_with_versions_keep_the_newest_in_any_order(road: Road) -> None:
    counts = road.counts("versions", "CODE;NAME;V", "1;second;2", "1;third;3", "1;first;1")
    assert counts == {"created": 1, "superseded": 2}
    assert road.names() == ["third"]
    assert road.counts("versions", "CODE;NAME;V", "1;second;2") == {"superseded": 1}
    assert road.counts("versions", "CODE;NAME;V", "1;tenth;10") == {"updated": 1}
    assert road.counts("versions", "CODE;NAME;V", "1;corrected;10") == {"updated": 1}
    assert road.names() == ["corrected"]


def test_rows_whose_versions_have_decimals_keep_the_newest_too(road: Road) -> None:
    for name, version in (("first", "1764267890.123456"), ("third", "1764267890.123458"), ("second", "1764267890.123457")):
        road.run("versions", "CODE;NAME;V", f"1;{name};{version}")
    assert road.names() == ["third"]


def test_what_an_earlier_version_kept_of_marks_is_older_than_the_next_news(road: Road) -> None:
    """It kept whole numbers as they were."""
    road.run("versions", "CODE;NAME;V", "1;tenth;10", "2;;9")
    road.run("versions", "CODE;NAME;V", "2;tenth too;10")
    for table in ("crosswalk_company", "held"):
        road.hub_sees(f"UPDATE sync.{table} SET mark = mark / 1000000")
    road.hub_sees("""UPDATE sync.held SET state = 'open', raw = '{"CODE": "2", "NAME": "ninth", "V": "9"}'""")
    [result] = replay(road.hub, "versions")
    assert told(result) == {"superseded": 1}
    assert road.counts("versions", "CODE;NAME;V", "1;eleventh;11") == {"updated": 1}
    assert road.names() == ["eleventh", "tenth too"]


def test_replayed_rows_keep_the_order_they_came_in(road: Road) -> None:
    for day, name in ((TUESDAY, "tuesday"), (MONDAY, "monday")):
        road.run("daily", HEAD, f"1;{name};;L", name="daily" + day)
    assert road.one("SELECT raw->>'NAME' FROM sync.held WHERE state = 'open'") == "tuesday", "the newest stands"
    replay(corrected(road), "daily")
    assert road.names() == ["tuesday"]


@pytest.mark.slow
def test_more_parked_rows_come_in_at_once_than_a_statement_has_parameters(road: Road) -> None:
    count = 66_000
    run_id = road.run("matched", "CODE;NAME;NOTES", "0;Zero;").run_id
    feed = road.one("SELECT id FROM sync.feed WHERE flow = 'matched'")
    road.hub_sees(
        "INSERT INTO sync.held (feed, outcome, identity, key, run_id, row_no, code, causes, raw, waits_for)"
        " SELECT %s, 'parked', 'K' || n, 'K' || n, %s, n, 'waits_for', '[]', json_build_object('CODE', 'K' || n,"
        " 'NAME', 'Name ' || n, 'NOTES', ''), '[]' FROM generate_series(1, %s) n", feed, run_id, count)
    ids = [row[0] for row in road.hub_sees("SELECT id FROM sync.held")]
    [result] = replay(road.hub, "matched", ids)
    assert (told(result), road.held()) == ({"created": count}, [])


def test_a_row_in_review_is_linked_created_or_dropped_as_decided(road: Road) -> None:
    for number in (1, 2):
        road.crm("INSERT INTO crm.company (name, notes) VALUES ('Twin', %s)", f"crm {number}")
    first = road.one("SELECT min(id) FROM crm.company")
    road.run("matched", "CODE;NAME;NOTES", "a;Twin;file", "b;Twin;file", "c;Twin;file")
    held = [row[0] for row in road.hub_sees("SELECT id FROM sync.held ORDER BY key")]
    assert [told(result) for result in settle_row(road.hub, held[0], link=first)] in (
        [{"review": 1, "conflicts": 1}], [{"updated": 1}])
    assert [told(result) for result in settle_row(road.hub, held[1], create=True)] == [{"created": 1}]
    settle_row(road.hub, held[2], dismiss=True)
    assert road.held() == []
    assert road.hub_sees("SELECT key, record_id = %s FROM sync.crosswalk_company ORDER BY key", first) == [
        ("a", True), ("b", False)]
    assert len(road.names()) == 3


def test_replay_counts_only_what_it_took_up(road: Road) -> None:
    road.run("daily", HEAD, "1;One;;L", "2;Two;;X", "3;Three;;S", name="daily" + MONDAY)
    [result] = replay(corrected(road), "daily")
    assert (told(result), result.rows_read) == ({"created": 1, "rejected": 1}, 2)
    assert road.held() == [("rejected", "2", "unknown_code")]
    assert Path(str(road.one("SELECT source FROM sync.run ORDER BY id LIMIT 1"))).name == "daily" + MONDAY
