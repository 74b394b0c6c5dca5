"""What becomes of a row: every outcome once, counted exactly, and the database holds the runs to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psycopg
import pytest

from pipelines.ops.rejects import open_rows
from pipelines.stages import land
from pipelines.stages.same import ByKey, Known
from tests.road_desk import COMPANIES, Road, roads, told

FLOWS = {
    "companies": COMPANIES,
    "changes": """
flow: changes
system: erp
read: {files: "CHG_{number:d}.csv"}
into:
  entity: company
  key: CODE
  when: {KIND: {not: [X]}}
  match: [siret, {on: [name, postal_code], agree: [city]}]
  fields:
    name: {from: NAME, required: true}
    siret: SIRET
    postal_code: {from: ZIP, region: FR}
    city: CITY
    short: SHORT
    parent: {from: GROUP, refers: company}
""",
    "kinds": """
flow: kinds
system: erp
into:
  entity: company
  key: CODE
  fields:
    name: {from: NAME, required: true}
    type: {from: KIND, values: {C: customer, S: supplier}, else: keep}
""",
    "defaults": """
flow: defaults
system: erp
into:
  entity: company
  key: CODE
  defaults: {archived: true}
  fields: {name: NAME, credit_limit: {from: LIMIT, default: 5, currency: {from: CURRENCY, blank: EUR}}}
""",
    "expecting": """
flow: expecting
system: erp
into:
  entity: company
  key: CODE
  fields: {name: {from: NAME, required: true}}
  expect:
    - expect_column_values_to_not_be_in_set: {column: name, value_set: [NOBODY]}
""",
    "asking": """
flow: asking
system: cmms
into:
  entity: company
  key: CODE
  match: [[name, postal_code]]
  on_match: review
  fields: {name: NAME, postal_code: {from: ZIP, region: FR}}
""",
    "strict": """
flow: strict
system: cmms
into:
  entity: company
  key: CODE
  fields: {name: NAME, parent: {from: GROUP, refers: {entity: company, in: erp, else: reject}}}
""",
    "things": """
flow: things
system: erp
into:
  entity: thing
  key: CODE
  fields: {name: {from: NAME}, size: SIZE}
""",
    "only_known": """
flow: only_known
system: cmms
into:
  entity: company
  key: CODE
  match: [name]
  create: false
  fields: {name: NAME, notes: NOTES}
""",
}
HEAD = "CODE;KIND;NAME;SIRET;ZIP;CITY;SHORT;GROUP"


def line(code: str, name: str, *, kind: str = "", siret: str = "", zip_: str = "59000", city: str = "", short: str = "",
         group: str = "") -> str:
    return ";".join([code, kind, name, siret, zip_, city, short, group])


module_road, road = roads(FLOWS)


@pytest.fixture
def stones(road: Road) -> Iterator[Callable[[], None]]:
    """The store takes no company with `stone` in its name, until this is called."""

    def stop() -> None:
        road.owner("ALTER TABLE crm.company DROP CONSTRAINT IF EXISTS no_stone")

    road.owner("ALTER TABLE crm.company ADD CONSTRAINT no_stone CHECK (name NOT LIKE '%stone%')")
    yield stop
    stop()


def test_a_row_is_created_then_unchanged_then_updated(road: Road) -> None:
    assert road.counts("changes", HEAD, line("1", "Anvil")) == {"created": 1}
    assert road.counts("changes", HEAD, line("1", "Anvil")) == {"unchanged": 1}
    assert road.counts("changes", HEAD, line("1", "Anvil Ltd")) == {"updated": 1}
    assert road.companies("name", "version") == [("Anvil Ltd", 2)]
    assert road.staging() == []


@pytest.mark.parametrize("most", [4, 3, 0])
def test_rows_are_the_same_whether_their_fingerprints_are_held_in_memory_or_looked_up(
        road: Road, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.stages.same.MOST_KNOWN", most)
    asked: list[str] = []
    every = [line(str(number), f"Company {number}") for number in range(1, 5)]
    for way in (Known, ByKey):
        monkeypatch.setattr(way, "changed", lambda *given, way=way, real=way.changed: asked.append(way.__name__) or real(*given))
    assert road.counts("changes", HEAD, *every) == {"created": 4}
    asked.clear()
    changed = [*every[:2], line("3", "Renamed"), every[3], line("5", "New"), line("", "Keyless"), every[0], "6;damaged"]
    assert road.counts("changes", HEAD, *changed) == {
        "unchanged": 3, "superseded": 1, "updated": 1, "created": 1, "rejected": 2}
    assert set(asked) == {"Known" if most == 4 else "ByKey"}
    assert road.counts("changes", HEAD, *every[1:]) == {"unchanged": 2, "updated": 1}
    assert road.names() == ["Company 1", "Company 2", "Company 3", "Company 4", "New"]


def test_a_row_that_says_the_same_in_other_words_is_unchanged_and_writes_no_journal(road: Road) -> None:
    road.run("changes", HEAD, line("1", "Anvil", zip_="59000"))
    before = road.journal()
    assert road.counts("changes", HEAD, line("1", "  Anvil ", zip_="59 000")) == {"unchanged": 1}
    assert (road.journal(), road.companies("version")) == (before, [(1,)])


def test_a_row_that_the_condition_leaves_out_is_skipped(road: Road) -> None:
    assert road.counts("changes", HEAD, line("1", "Anvil", kind="X"), line("2", "Bolt")) == {"created": 1, "skipped": 1}
    assert road.names() == ["Bolt"]


def test_undecodable_rows_are_rejected_with_their_cause(road: Road) -> None:
    counts = road.counts("changes", HEAD, line("1", ""), line("2", "Anvil", siret="123"), line("", "Keyless"),
                         line("5", "Good"), "6;damaged")
    assert counts == {"created": 1, "rejected": 4}
    assert sorted(road.held(), key=str) == sorted([
        ("rejected", "1", "required"), ("rejected", "2", "not_siret"), ("rejected", None, "no_key"),
        ("rejected", None, "columns"),
    ], key=str)


def test_rows_that_fail_an_expectation_are_rejected_and_closed_by_a_good_one(road: Road) -> None:
    assert road.counts("expecting", "CODE;NAME", "1;NOBODY", "2;Anvil") == {"created": 1, "rejected": 1}
    assert road.held() == [("rejected", "1", "expectation")]
    assert road.counts("expecting", "CODE;NAME", "1;Somebody", "2;Anvil") == {"created": 1, "unchanged": 1}
    assert road.held() == []


def test_what_only_the_store_refuses_is_found_by_halving(road: Road, stones: Callable[[], None]) -> None:
    rows = [line(str(number), f"stone {number}" if number in (7, 8, 400) else f"Company {number}")
            for number in range(1, 501)]
    assert road.counts("changes", HEAD, *rows) == {"created": 497, "rejected": 3}
    assert road.held() == [("rejected", key, "store") for key in ("7", "8", "400")]
    assert "no_stone" in str(road.one("SELECT causes FROM sync.held ORDER BY id LIMIT 1"))
    stones()
    assert road.counts("changes", HEAD, *rows) == {"unchanged": 497, "created": 3}
    assert road.held() == []


def test_a_run_of_which_the_store_refuses_more_than_the_guard_allows_is_no_success(
        road: Road, stones: Callable[[], None]) -> None:
    rows = [line(str(number), f"{'stone' if number > 9 else 'Company'} {number}") for number in range(1, 23)]
    result = road.run("changes", HEAD, *rows)
    assert (told(result), result.exit_code) == ({"created": 9, "rejected": 13}, 4)
    assert result.problem is not None
    assert result.problem["message"].startswith("company: 13 of 22 rows were rejected; the guard allows 50%. The store")
    stones()
    again = road.run("changes", HEAD, *rows)
    assert (told(again), again.exit_code, again.problem) == ({"unchanged": 9, "created": 13}, 0, None)


def test_rows_that_wait_for_each_other_are_refused_one_by_one_too(road: Road, stones: Callable[[], None]) -> None:
    rows = [line("1", "Anvil", group="2"), line("2", "Bolt", group="1"), line("3", "stone", group="4"),
            line("4", "Dowel", group="3"), line("5", "Eyelet", group="3")]
    counts = road.counts("changes", HEAD, *rows)
    assert road.links() == {"Anvil": "Bolt", "Bolt": "Anvil"}
    assert counts == {"created": 2, "rejected": 1, "parked": 2}


@pytest.mark.parametrize("most", [4_000_000, 0])  # fingerprints in memory, or looked up
@pytest.mark.parametrize("page", [2, pytest.param(100, marks=pytest.mark.slow)])
def test_a_repeated_key_is_found_among_rows_that_have_not_changed(
        road: Road, page: int, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.stages.same.MOST_KNOWN", most)
    monkeypatch.setattr("pipelines.stages.land.PAGE_ROWS", page)
    every = [line(str(number), f"Company {number}") for number in range(1, 7)]
    assert road.counts("changes", HEAD, *every) == {"created": 6}
    assert road.counts("changes", HEAD, *every) == {"unchanged": 6}
    assert road.counts("changes", HEAD, *every, every[1]) == {"unchanged": 6, "superseded": 1}
    assert road.counts("changes", HEAD, every[0], *every) == {"unchanged": 6, "superseded": 1}
    assert road.counts("changes", HEAD, *every, line("2", "Two")) == {"unchanged": 5, "superseded": 1, "updated": 1}
    assert road.counts("changes", HEAD, line("2", "Company 2"), *every[2:], line("7", "A"), line("7", "B")) == {
        "updated": 1, "unchanged": 4, "created": 1, "superseded": 1}
    assert ("B",) in road.companies()


def test_a_repeated_key_counts_once_and_the_last_row_wins(road: Road) -> None:
    rows = [line("1", "First"), line("2", "Other"), line("1", "Second"), line("1", "Third")]
    assert road.counts("changes", HEAD, *rows) == {"created": 2, "superseded": 2}
    assert road.names() == ["Other", "Third"]


def test_keys_that_repeat_pages_apart_in_a_first_load_count_once(road: Road, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(land, "PAGE_ROWS", 2)
    rows = [line("1", "First"), *[line(str(number), f"Other {number}") for number in range(2, 9)], line("1", "Last")]
    assert road.counts("changes", HEAD, *rows) == {"created": 8, "superseded": 1}
    assert "Last" in road.names()


def test_the_last_row_wins_also_when_it_is_the_one_that_was_there_before(road: Road) -> None:
    road.run("changes", HEAD, line("1", "Old"))
    assert road.counts("changes", HEAD, line("1", "New"), line("1", "Old")) == {"superseded": 1, "unchanged": 1}
    assert road.names() == ["Old"]
    assert road.counts("changes", HEAD, line("1", "Old"), line("1", "New")) == {"superseded": 1, "updated": 1}
    assert road.names() == ["New"]
    assert road.counts("changes", HEAD, line("1", "New"), line("1", "New")) == {"superseded": 1, "unchanged": 1}


def test_a_good_row_does_not_hide_the_refusal_of_a_later_row_of_its_key(road: Road) -> None:
    assert road.counts("changes", HEAD, line("1", "Good"), line("1", "")) == {"created": 1, "rejected": 1}
    assert road.held() == [("rejected", "1", "required")]
    assert road.counts("changes", HEAD, line("1", ""), line("1", "Better")) == {"updated": 1, "rejected": 1}
    assert (road.held(), road.names()) == ([], ["Better"])


def test_a_later_good_row_closes_the_reject(road: Road) -> None:
    road.run("changes", HEAD, line("1", ""))
    assert road.held() == [("rejected", "1", "required")]
    road.run("changes", HEAD, line("1", "Good"))
    assert road.held() == []
    assert road.held("closed") == [("rejected", "1", "required")]


def test_older_news_of_a_numbered_file_is_superseded(road: Road) -> None:
    road.run("changes", HEAD, line("1", "Tuesday"), name="CHG_2.csv")
    assert road.counts("changes", HEAD, line("1", "Monday"), line("2", "Only"), name="CHG_1.csv") == {
        "superseded": 1, "created": 1}
    assert road.names() == ["Only", "Tuesday"]


def test_a_row_whose_link_leads_nowhere_is_parked_and_one_without_is_not(road: Road) -> None:
    assert road.counts("changes", HEAD, line("1", "Child", group="9"), line("2", "Free")) == {"created": 1, "parked": 1}
    assert road.held() == [("parked", "1", "waits_for")]


def test_a_link_that_must_be_there_rejects(road: Road) -> None:
    assert road.counts("strict", "CODE;NAME;GROUP", "1;Child;9") == {"rejected": 1}
    assert road.held() == [("rejected", "1", "not_there")]


def test_rows_without_a_record_are_parked_where_the_flow_may_not_create(road: Road) -> None:
    assert road.counts("only_known", "CODE;NAME;NOTES", "1;Anvil;x") == {"parked": 1}
    assert road.names() == []
    road.run("changes", HEAD, line("A", "Anvil"))
    assert (road.companies("name", "notes"), road.held()) == ([("Anvil", "x")], [])
    assert road.counts("only_known", "CODE;NAME;NOTES", "1;Anvil;x") == {"unchanged": 1}


def test_two_records_that_fit_go_to_review_with_both_as_candidates(road: Road) -> None:
    ids = [road.crm("INSERT INTO crm.company (name, siret) VALUES (%s, '73282932000074') RETURNING id", name)[0][0]
           for name in ("Anvil", "Bolt")]
    assert road.counts("changes", HEAD, line("1", "Anvil", siret="73282932000074")) == {"review": 1}
    assert road.held() == [("review", "1", "ambiguous")]
    assert road.one("SELECT candidates FROM sync.held") == ids


def test_a_record_that_another_key_of_the_space_has_goes_to_review(road: Road) -> None:
    road.run("changes", HEAD, line("1", "Anvil", siret="73282932000074"))
    assert road.counts("changes", HEAD, line("2", "Anvil", siret="73282932000074")) == {"review": 1}
    assert road.held() == [("review", "2", "taken")]


def test_a_fit_that_differs_where_it_should_agree_goes_to_review(road: Road) -> None:
    road.crm("INSERT INTO crm.company (name, postal_code, city) VALUES ('Anvil', '59000', 'Lille'), "
             "('Bolt', '59000', 'Lille'), ('Clamp', '59000', NULL)")
    counts = road.counts("changes", HEAD, line("1", "Anvil", city="Paris"), line("2", "Bolt", city="LILLE"),
                         line("3", "Clamp", city="Paris"))
    assert counts.pop("review") == 1
    assert counts == {"updated": 1, "unchanged": 1, "conflicts": 1} or counts == {"updated": 1, "unchanged": 1}
    assert road.held() == [("review", "1", "doubtful")]


def test_two_new_rows_for_one_record_go_to_review_both(road: Road) -> None:
    counts = road.counts("changes", HEAD, line("1", "Anvil", siret="73282932000074"),
                         line("2", "Anvil Paris", siret="73282932000074"), line("3", "Bolt"))
    assert counts == {"review": 2, "created": 1}
    assert road.held() == [("review", "1", "twins"), ("review", "2", "twins")]


def test_two_new_rows_that_fit_one_known_record_go_to_review_both(road: Road) -> None:
    road.crm("INSERT INTO crm.company (name, siret) VALUES ('Anvil', '73282932000074')")
    counts = road.counts("changes", HEAD, line("1", "Anvil", siret="73282932000074"),
                         line("2", "Anvil Paris", siret="73282932000074"))
    assert counts == {"review": 2}
    record = road.one("SELECT id FROM crm.company")
    assert {row.causes[0].sentence for row in open_rows(road.hub, outcomes=("review",))} == {
        f"2 new rows of this run fit the same record, {record}, and each would be it: 1 … 2"}


def test_a_match_that_the_mapping_wants_to_be_asked_about_goes_to_review(road: Road) -> None:
    road.crm("INSERT INTO crm.company (name, postal_code) VALUES ('Anvil', '59000')")
    assert road.counts("asking", "CODE;NAME;ZIP", "1;Anvil;59000", "2;Bolt;59000") == {"review": 1, "created": 1}
    assert road.held() == [("review", "1", "on_match")]


def test_the_database_refuses_a_run_whose_counters_do_not_add_up(road: Road) -> None:
    result = road.run("changes", HEAD, line("1", "Anvil"))
    for column in ("rows_read", "created", "rejected"):
        with pytest.raises(psycopg.errors.CheckViolation, match="conservation"):
            road.hub_sees(f"UPDATE sync.run_into SET {column} = {column} + 1 WHERE run_id = %s", result.run_id)


def test_each_into_counts_every_row_of_the_file(road: Road) -> None:
    result = road.run("changes", HEAD, *[line(str(n), f"C{n}", kind="X" if n % 3 else "") for n in range(30)])
    assert result.rows_read == 30
    assert told(result) == {"created": 10, "skipped": 20}


def test_a_blank_or_unknown_type_is_the_entitys_first_when_created_and_says_nothing_later(road: Road) -> None:
    counts = road.counts("kinds", "CODE;NAME;KIND", "1;a;", "2;b;lead", "3;c;S")
    assert (counts, road.companies("type")) == ({"created": 3}, [("prospect",), ("prospect",), ("supplier",)])
    assert road.counts("kinds", "CODE;NAME;KIND", "1;a;", "2;b;", "3;c;other") == {"unchanged": 3}
    assert road.counts("kinds", "CODE;NAME;KIND", "1;a;lead", "2;b;", "3;c;C") == {"unchanged": 2, "updated": 1}
    assert road.companies("type") == [("prospect",), ("prospect",), ("customer",)]


def test_a_default_brings_its_currency_and_archived_has_one_too(road: Road) -> None:
    road.run("defaults", "CODE;NAME;LIMIT;CURRENCY", "1;Anvil;;", "2;Bolt;7;usd")
    found = road.companies("name", "credit_limit::int", "credit_limit_currency", "archived_at IS NOT NULL")
    assert found == [("Anvil", 5, "EUR", True), ("Bolt", 7, "USD", True)]
