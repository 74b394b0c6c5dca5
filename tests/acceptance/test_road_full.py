"""Full files: what is absent, what counts as present, and the guard before anything is lost."""

from __future__ import annotations

import pytest

from mappings.errors import ConfigurationError
from pipelines.ops.reviews import reviews
from pipelines.runs.intake import HeldBack, run_flow
from pipelines.runs.settling import settle_row, settle_run
from pipelines.runs.settling_gone import settle_gone
from tests.road_desk import COMPANIES, Road, roads, told

FLOWS = {
    "companies": COMPANIES,
    "changes": COMPANIES.replace("flow: companies", "flow: changes").replace(", full: true", "")
    .replace("CLI_", "CHG_").replace("  key: CODE", "  key: CODE\n  ids: companies"),
    "clients": """
flow: clients
system: cmms
read: {full: true}
into:
  entity: company
  key: CODE
  match: [name]
  absent: archive
  fields: {name: NAME}
""",
    "renumbered": """
flow: renumbered
system: erp
read: {full: true}
into: {entity: company, key: CODE, match: [name], absent: archive, fields: {name: NAME}}
""",
    "asked": """
flow: asked
system: erp
read: {full: true}
into:
  entity: company
  key: CODE
  absent: review
  fields: {name: NAME}
""",
    "asked_clients": """
flow: asked_clients
system: cmms
read: {full: true}
into: {entity: company, key: CODE, match: [name], absent: review, fields: {name: NAME, email: {from: MAIL, as: text}}}
""",
    "asked_aliases": """
flow: asked_aliases
system: erp
read: {full: true}
into: {entity: company, key: CODE, match: [name], aliases: true, absent: review, fields: {name: NAME}}
""",
    "guarded": COMPANIES.replace("flow: companies", "flow: guarded").replace("CLI_", "GRD_")
    + "guard: {rejects: 10%, creates: 20%, updates: 50%, archives: 10%}\n",
    "report": COMPANIES.replace("flow: companies", "flow: report").replace("CLI_", "REP_")
    .replace("full: true", 'full: true, format: {csv: {comment: [Grand Totals, Confidential]}}'),
    "documents": """
flow: documents
system: erp
into:
  - {entity: document, key: NO, fields: {number: NO}}
  - entity: document_line
    owner: document
    whole: true
    key: [NO, LINE]
    fields: {description: WHAT}
""",
    "stamped": """
flow: stamped
system: erp
read: {files: "STP_{number:d}.csv", full: true, stamp: AT}
into: {entity: company, key: CODE, absent: archive, fields: {name: NAME}}
""",
}
module_road, road = roads(FLOWS)
HEAD = "CODE;NAME;ZIP;NOTES"


def rows(*codes: object, name: str = "Company") -> list[str]:
    return [f"{code};{name} {code};59000;" for code in codes]


def archived(road: Road) -> list[str]:
    return [row[0] for row in road.hub_sees("SELECT name FROM crm.company WHERE archived_at IS NOT NULL ORDER BY 1")]


def keys(road: Road, condition: str = "absent_since IS NULL") -> list[str]:
    return [row[0] for row in road.hub_sees(f"SELECT key FROM sync.crosswalk_company WHERE {condition} ORDER BY key")]


def test_what_a_full_file_no_longer_has_is_archived_and_comes_back_with_everything_it_had(road: Road) -> None:
    road.run("companies", HEAD, *rows(1, 2, 3))
    before = road.hub_sees("SELECT id, name, postal_code, created_at FROM crm.company WHERE name = 'Company 2'")
    assert road.counts("companies", HEAD, *rows(1, 3)) == {"unchanged": 2, "archived": 1}
    assert (archived(road), keys(road)) == (["Company 2"], ["1", "3"])
    journal = road.journal()
    assert road.counts("companies", HEAD, *rows(1, 3)) == {"unchanged": 2}, "gone once is not gone again"
    assert road.journal() == journal
    assert road.counts("companies", HEAD, *rows(1, 2, 3)) == {"unchanged": 2, "updated": 1}
    assert archived(road) == []
    assert road.hub_sees("SELECT id, name, postal_code, created_at FROM crm.company WHERE name = 'Company 2'") == before


def test_where_a_key_cannot_be_read_nothing_is_gone_and_the_run_says_so(road: Road) -> None:
    road.run("companies", HEAD, *rows(1, 2, 3))
    result = road.run("companies", HEAD, *rows(1), ";Company 2;59000;")
    assert (archived(road), keys(road)) == ([], ["1", "2", "3"])
    assert result.notices == ["company: one key could not be read, so that what is absent was left as it is; correct this"
                              " row, or the mapping, and run the file again"]


def test_footers_that_are_left_out_hide_nothing_that_is_gone(road: Road) -> None:
    foot = ['"Grand Totals";3', "Confidential"]
    assert road.counts("report", HEAD, *rows(1, 2, 3), *foot, name="REP_20261101.csv") == {"created": 3}
    assert road.counts("report", HEAD, *rows(1, 3), *foot, name="REP_20261102.csv") == {"unchanged": 2, "archived": 1}
    assert archived(road) == ["Company 2"]


def test_what_comes_back_with_other_values_has_them(road: Road) -> None:
    road.run("companies", HEAD, *rows(1, 2))
    road.run("companies", HEAD, *rows(1))
    assert road.counts("companies", HEAD, *rows(1), "2;Company 2;59800;back") == {"unchanged": 1, "updated": 1}
    assert archived(road) == []
    assert road.companies("postal_code", "notes") == [("59000", None), ("59800", "back")]


def test_a_system_that_does_not_master_archived_only_unlinks(road: Road) -> None:
    road.run("clients", "CODE;NAME", *[f"{n};Client {n}" for n in range(1, 4)])
    assert road.counts("clients", "CODE;NAME", "1;Client 1") == {"unchanged": 1, "unlinked": 2}
    assert (archived(road), keys(road), len(road.names())) == ([], ["1"], 3)
    assert road.counts("clients", "CODE;NAME", "1;Client 1", "2;Client 2") == {"unchanged": 2}
    assert (keys(road), len(road.names())) == (["1", "2"], 3), "found again, not made twice"


def test_absent_rows_that_somebody_must_judge_are_in_review_until_they_come_back(road: Road) -> None:
    road.run("asked", "CODE;NAME", "1;One", "2;Two")
    assert road.counts("asked", "CODE;NAME", "1;One") == {"unchanged": 1}
    assert road.held() == [("review", "2", "gone")]
    assert (archived(road), keys(road)) == ([], ["1", "2"])
    assert road.counts("asked", "CODE;NAME", "1;One") == {"unchanged": 1}
    assert road.held() == [("review", "2", "gone")], "told once"
    road.run("asked", "CODE;NAME", "1;One", "2;Two")
    assert road.held() == []


@pytest.fixture
def gone(road: Road) -> int:
    """The number of the row that asks about key 2, which is absent."""
    road.run("asked", "CODE;NAME", "1;One", "2;Two")
    road.run("asked", "CODE;NAME", "1;One")
    return int(road.one("SELECT id FROM sync.held WHERE code = 'gone'"))


def test_an_absent_row_is_archived_as_decided_and_comes_back_with_its_row(road: Road, gone: int) -> None:
    assert settle_gone(road.hub, gone, "archive") == "2"
    assert (archived(road), keys(road), road.held()) == (["Two"], ["1"], [])
    assert road.one("SELECT decision->>'what' FROM sync.held WHERE id = %s", gone) == "archive"
    assert road.hub_sees("SELECT system FROM sync.journal ORDER BY id DESC LIMIT 1") == [("erp",)]
    assert road.counts("asked", "CODE;NAME", "1;One") == {"unchanged": 1}
    assert road.held() == []
    assert road.counts("asked", "CODE;NAME", "1;One", "2;Two") == {"unchanged": 1, "updated": 1}
    assert (archived(road), keys(road)) == ([], ["1", "2"])


def test_an_absent_row_is_unlinked_as_decided(road: Road, gone: int) -> None:
    settle_gone(road.hub, gone, "unlink")
    assert (archived(road), keys(road, "true"), road.names(), road.held()) == ([], ["1"], ["One", "Two"], [])
    assert road.counts("asked", "CODE;NAME", "1;One") == {"unchanged": 1}
    assert road.held() == []


def test_an_absent_row_that_is_kept_is_not_asked_about_before_it_has_come_back(road: Road, gone: int) -> None:
    settle_gone(road.hub, gone, "keep")
    for _ in range(2):
        assert road.counts("asked", "CODE;NAME", "1;One") == {"unchanged": 1}
        assert (road.held(), archived(road), keys(road, "true")) == ([], [], ["1", "2"])
    assert road.counts("asked", "CODE;NAME", "1;One", "2;Two") == {"unchanged": 2}
    assert keys(road) == ["1", "2"]
    road.run("asked", "CODE;NAME", "1;One")
    assert road.held() == [("review", "2", "gone")], "absent anew"


def test_what_does_not_fit_an_absent_row_is_refused_and_settles_nothing(road: Road, gone: int) -> None:
    with pytest.raises(ConfigurationError, match="nothing to link or create"):
        settle_row(road.hub, gone, create=True)
    road.run("asked", "CODE;NAME", "1;One", "2;Two")
    with pytest.raises(ConfigurationError, match=f"row {gone} is closed"):
        settle_gone(road.hub, gone, "archive")
    road.run("companies", HEAD, "9;;59000;")
    refused = road.one("SELECT id FROM sync.held WHERE state = 'open'")
    with pytest.raises(ConfigurationError, match=f"row {refused} is not absent"):
        settle_gone(road.hub, refused, "keep")
    assert (archived(road), road.held()) == ([], [("rejected", "9", "required")])


def test_a_record_whose_archiving_another_system_masters_is_not_archived_for_this_one(road: Road) -> None:
    road.run("asked_clients", "CODE;NAME;MAIL", "1;One;a", "2;Two;a")
    road.crm("UPDATE crm.company SET email = 'ours'")
    road.run("asked_clients", "CODE;NAME;MAIL", "1;One;b", "2;Two;b")
    road.run("asked_clients", "CODE;NAME;MAIL", "1;One;b")
    number = road.one("SELECT id FROM sync.held WHERE code = 'gone'")
    with pytest.raises(ConfigurationError, match="`archived` is mastered by erp"):
        settle_gone(road.hub, number, "archive")
    assert (archived(road), road.held()) == ([], [("review", "2", "gone")])
    settle_gone(road.hub, number, "unlink")
    assert [conflict.key for conflict in reviews(road.hub).conflicts] == ["1"], "nobody disputes what is linked no more"


def test_a_record_that_another_key_still_has_is_not_archived_for_the_one_that_is_gone(road: Road) -> None:
    road.run("asked_aliases", "CODE;NAME", "1;Same")
    road.run("asked_aliases", "CODE;NAME", "1;Same", "2;Same")
    assert len(road.names()) == 1
    road.run("asked_aliases", "CODE;NAME", "1;Same")
    number = road.one("SELECT id FROM sync.held WHERE code = 'gone'")
    with pytest.raises(ConfigurationError, match="is also 1, which is not settled as absent"):
        settle_gone(road.hub, number, "archive")
    settle_gone(road.hub, number, "unlink")
    assert (archived(road), keys(road)) == ([], ["1"])


def test_a_row_with_another_key_takes_the_place_of_the_absent_one_that_it_fits(road: Road) -> None:
    road.run("renumbered", "CODE;NAME", "1;One", "2;Two")
    result = road.run("renumbered", "CODE;NAME", "1;One", "9;Two")
    assert (result.total("review"), result.total("unchanged")) == (0, 2)
    assert (archived(road), keys(road), road.held()) == ([], ["1", "9"], [])


def test_a_row_whose_key_is_another_record_by_now_is_not_settled_for_the_old_one(road: Road, gone: int) -> None:
    road.hub_sees("UPDATE sync.crosswalk_company SET record_id = (SELECT id FROM crm.company WHERE name = 'One')")
    for choice in ("archive", "unlink", "keep"):
        with pytest.raises(ConfigurationError, match="no longer linked"):
            settle_gone(road.hub, gone, choice)  # type: ignore[arg-type]
    assert (archived(road), keys(road)) == ([], ["1", "2"])


@pytest.mark.parametrize("bad", [";Keyless;59000;", "7;damaged"])
def test_one_row_whose_key_cannot_be_read_makes_nothing_absent(road: Road, bad: str) -> None:
    road.run("companies", HEAD, *rows(1, 2, 3))
    assert road.counts("companies", HEAD, *rows(1), bad) == {"unchanged": 1, "rejected": 1}
    assert (archived(road), keys(road)) == ([], ["1", "2", "3"])


def test_rejected_and_repeated_rows_are_present(road: Road) -> None:
    road.run("companies", HEAD, *rows(1, 2, 3))
    counts = road.counts("companies", HEAD, *rows(1), "2;;59000;", *rows(3), *rows(3))
    assert counts == {"unchanged": 2, "superseded": 1, "rejected": 1}
    assert archived(road) == []


def test_a_file_of_changes_archives_nothing(road: Road) -> None:
    road.run("companies", HEAD, *rows(1, 2, 3))
    assert road.counts("companies", HEAD, *rows(1), full=False) == {"unchanged": 1}
    assert archived(road) == []


def test_an_older_full_file_changes_nothing_and_archives_nothing(road: Road) -> None:
    road.run("companies", HEAD, *rows(1, 2), name="CLI_20260105.csv")
    counts = road.counts("companies", HEAD, *rows(1, 9, name="Old"), name="CLI_20260104.csv")
    assert counts == {"superseded": 2}
    assert (archived(road), road.names()) == ([], ["Company 1", "Company 2"])


def test_what_a_newer_file_of_changes_brought_is_not_absent_from_an_older_full_one(road: Road) -> None:
    road.run("companies", HEAD, *rows(1, 2), name="CLI_20260105.csv")
    road.run("companies", HEAD, *rows(3), name="CLI_20260107.csv", full=False)
    counts = road.counts("companies", HEAD, *rows(1), name="CLI_20260106.csv")
    assert counts == {"unchanged": 1, "archived": 1}
    assert (archived(road), keys(road)) == (["Company 2"], ["1", "3"])


def test_what_a_newer_file_of_changes_confirmed_is_not_absent_from_an_older_full_one(road: Road) -> None:
    road.run("companies", HEAD, *rows(1, 2), name="CLI_20260105.csv")
    assert road.counts("companies", HEAD, *rows(2), name="CLI_20260107.csv", full=False) == {"unchanged": 1}
    assert road.counts("companies", HEAD, *rows(1), name="CLI_20260106.csv") == {"unchanged": 1}
    assert archived(road) == []


def test_an_older_full_file_of_rows_with_stamps_archives_nothing_either(road: Road) -> None:
    head = "CODE;NAME;AT"
    road.run("stamped", head, "1;One;2026-01-01", "2;Two;2026-01-06", name="STP_2.csv")
    assert road.counts("stamped", head, "1;Uno;2025-12-01", name="STP_1.csv") == {"superseded": 1}
    assert (archived(road), road.names()) == ([], ["One", "Two"])


def test_an_empty_full_file_waits_in_review_and_changes_nothing(road: Road) -> None:
    road.run("companies", HEAD, *rows(1, 2))
    result = road.run("companies", HEAD, state="review")
    assert (result.exit_code, archived(road)) == (3, [])
    refused = settle_run(road.hub, result.run_id, approve=False)
    assert (refused.state, archived(road), road.staging()) == ("refused", [], [])
    again = road.run("companies", HEAD, state="review")
    assert told(settle_run(road.hub, again.run_id, approve=True)) == {"archived": 2}
    assert archived(road) == ["Company 1", "Company 2"]


def test_a_first_empty_file_is_no_reason_to_ask(road: Road) -> None:
    assert road.counts("companies", HEAD) == {}


@pytest.mark.parametrize(("lines", "tripped"), [
    (rows(*range(1, 30)), ("archives", 11, 40)),
    (rows(*range(1, 41)) + rows(*range(50, 60)), ("creates", 10, 40)),
    (rows(*range(1, 22), name="New") + rows(*range(22, 41)), ("updates", 21, 40)),
    (rows(*range(1, 37)) + [f"{n};;;" for n in range(37, 42)], ("rejects", 5, 41)),
])
def test_a_run_outside_the_guard_changes_nothing_and_asks(
        road: Road, lines: list[str], tripped: tuple[str, int, int]) -> None:
    road.run("guarded", HEAD, *rows(*range(1, 41)))
    journal, records = road.journal(), road.companies("name", "version")
    result = road.run("guarded", HEAD, *lines, state="review")
    assert result.problem is not None
    assert [(t["what"], t["count"], t["of"]) for t in result.problem["tripped"]] == [tripped]
    assert (result.exit_code, road.journal(), road.companies("name", "version")) == (3, journal, records)
    assert road.held() == []
    settled = settle_run(road.hub, result.run_id, approve=True)
    assert (settled.state, told(settled)) == ("done", told(result))


def test_a_run_in_review_holds_back_later_ones_until_it_is_dropped(road: Road) -> None:
    road.run("guarded", HEAD, *rows(*range(1, 41)))
    waiting = road.run("guarded", HEAD, *rows(1), state="review")
    file = road.write("later.csv", [HEAD, *rows(*range(1, 41))])
    with pytest.raises(HeldBack, match=f"run {waiting.run_id} of this flow waits in review"):
        run_flow(road.hub, "guarded", file=file)
    [result] = run_flow(road.hub, "guarded", file=file, supersede=True)
    assert (result.state, archived(road), road.staging()) == ("done", [], [])
    assert road.one("SELECT state FROM sync.run WHERE id = %s", waiting.run_id) == "refused"


def test_an_approved_run_decides_on_the_store_as_it_is_then(road: Road) -> None:
    road.run("guarded", HEAD, *rows(*range(1, 41)))
    lines = ["1;Company 1;59000;from the file", "2;Company 2;59000;from the file", *rows(*range(3, 30))]
    waiting = road.run("guarded", HEAD, *lines, state="review")
    road.crm("UPDATE crm.company SET notes = 'from the crm' WHERE name IN ('Company 2', 'Company 3')")
    road.crm("UPDATE crm.company SET city = 'Lille' WHERE name = 'Company 35'")
    settled = settle_run(road.hub, waiting.run_id, approve=True)
    counts = told(settled)
    assert counts["archived"] == 11
    assert sum(counts.get(name, 0) for name in ("updated", "unchanged", "review")) == 29
    assert dict(road.companies("name", "notes"))["Company 1"] == "from the file"
    assert dict(road.companies("name", "notes"))["Company 3"] == "from the crm"
    assert road.one("SELECT count(*) FROM sync.conflict WHERE key = '2'") == 1
    assert dict(road.companies("name", "city"))["Company 35"] == "Lille"


def test_a_full_file_whose_header_leaves_a_quote_open_changes_nothing(road: Road) -> None:
    head, *lines = [HEAD.replace("ZIP;", 'ZIP;"'), *rows(1, 2, 3), '4;tube;12";x', *rows(5, 6)]
    road.run("companies", HEAD, *rows(1, 2, 3, 4))
    before = road.journal()
    refused = road.run("companies", head, *lines, name="CLI_20261112.csv", state="failed")
    assert (road.journal(), archived(road), road.held()) == (before, [], [])
    assert refused.problem is not None
    assert refused.problem["where"].endswith("CLI_20261112.csv:1")
    assert refused.problem["message"] == "a quote is opened in the header line and never closed"


@pytest.mark.slow
def test_more_absent_entries_than_a_statement_has_parameters(road: Road) -> None:
    road.run("companies", HEAD, *rows(*range(70_000)))
    waiting = road.run("companies", HEAD, *rows(1), state="review")
    assert told(settle_run(road.hub, waiting.run_id, approve=True)) == {"unchanged": 1, "archived": 69_999}
    assert len(archived(road)) == 69_999


def test_children_that_their_owner_no_longer_names_are_absent_and_others_are_not(road: Road) -> None:
    head = "NO;LINE;WHAT"
    road.run("documents", head, "D1;1;a", "D1;2;b", "D2;1;c", "D2;2;d")
    result = road.run("documents", head, "D1;2;b", "D1;3;e")
    assert told(result, "document_line") == {"unchanged": 1, "created": 1, "unlinked": 1}
    lines = road.hub_sees("SELECT l.key, d.number FROM sync.crosswalk_document_line l JOIN crm.document_line r ON"
                          " r.id = l.record_id JOIN crm.document d ON d.id = r.document ORDER BY 1")
    assert lines == [("D1|2", "D1"), ("D1|3", "D1"), ("D2|1", "D2"), ("D2|2", "D2")]
