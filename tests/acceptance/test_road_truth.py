"""The truth table, field by field: who wins when the file, the CRM or both have changed a value.

Each field of `company` has another master (tests.road_desk); each record is another case, so one run judges them all.
"""

from __future__ import annotations

import pytest

from pipelines.cli.traced import event_lines
from pipelines.ops.conflicts import Side, settle_conflict
from pipelines.ops.reviews import reviews
from pipelines.ops.trace import trace
from tests.road_desk import Road, roads, told

FIELDS = {"name": "NAME", "phone": "PHONE", "language": "LANG", "city": "CITY", "notes": "NOTES", "street": "STREET",
          "website": "WEB", "source": "SOURCE", "email": "MAIL"}
LINES = "\n".join(f"    {name}: {column}" for name, column in FIELDS.items() if name not in ("phone", "website", "email"))
FLOWS = {
    "erp": f"""
flow: erp
system: erp
into:
  entity: company
  key: CODE
  match: [registration]
  fields:
{LINES}
    registration: REG
    phone: {{from: PHONE, as: text}}
    email: {{from: MAIL, as: text}}
    website: {{from: WEB, as: text}}
""",
    "kept": """
flow: kept
system: erp
into: {entity: company, key: CODE, match: [registration], on_match: keep, fields: {registration: REG, name: NAME, city: CITY}}
""",
    "money": """
flow: money
system: erp
into: {entity: company, key: CODE, fields: {name: NAME, type: TYPE, credit_limit: {from: CREDIT, currency: {from: CUR}}}}
""",
    "vat_erp": """
flow: vat_erp
system: erp
into: {entity: company, ids: erp, key: CODE, match: [registration], create: false, fields: {registration: REG, vat_number: {from: VAT, as: text}}}
""",
    "vat_cmms": """
flow: vat_cmms
system: cmms
into: {entity: company, ids: cmms, key: CODE, match: [registration], create: false, fields: {registration: REG, vat_number: {from: VAT, as: text}}}
""",
    "sets": """
flow: sets
system: erp
into: {entity: company, key: CODE, fields: {name: NAME, tags: {from: TAGS, split: ","}}}
""",
    "blanks": """
flow: blanks
system: erp
into: {entity: company, key: CODE, fields: {name: NAME, notes: {from: NOTES, blank: keep}, street: {from: STREET}}}
""",
    "stamped": """
flow: stamped
system: erp
read: {stamp: AT}
into: {entity: company, key: CODE, fields: {name: NAME, segment: SEGMENT}}
""",
}
module_road, road = roads(FLOWS)
HEAD = ";".join(["CODE", "REG", *FIELDS.values()])


def line(code: str, value: str = "base", **other: str) -> str:
    """A row that has `value` in every field but those named."""
    return ";".join([code, f"R{code}", *[other.get(name, value) for name in FIELDS]])


def values(road: Road, code: str) -> dict[str, str | None]:
    found = road.hub_sees(f"SELECT {', '.join(FIELDS)} FROM crm.company WHERE registration = %s", f"R{code}")
    return dict(zip(FIELDS, found[0], strict=True))


def conflicts(road: Road, code: str) -> dict[str, tuple[str, str, str, str, str]]:
    rows = road.hub_sees("SELECT field, base, ours, theirs, winner, state FROM sync.conflict WHERE key = %s", code)
    assert len({row[0] for row in rows}) == len(rows), "each conflict is told once"
    return {row[0]: tuple(row[1:]) for row in rows}


def entry(road: Road, code: str) -> dict[str, str | None]:
    """Both images of the base: `field` what the CRM had, `field*` what the file had where that is another value."""
    columns = ", ".join(f"b_{name}" for name in FIELDS)
    row = road.hub_sees(f"SELECT remote, {columns} FROM sync.crosswalk_company WHERE key = %s", code)[0]
    return dict(zip(FIELDS, row[1:], strict=True)) | {f"{name}*": value for name, value in (row[0] or {}).items()}


def edit(road: Road, code: str, value: str, names: tuple[str, ...] = tuple(FIELDS)) -> None:
    """Every field is edited; the locked one by one whom locks do not stop."""
    sets = ", ".join(f"{name} = %s" for name in names if name != "name")
    if sets:
        road.crm(f"UPDATE crm.company SET {sets} WHERE registration = %s",
                 *[value for name in names if name != "name"], f"R{code}")
    if "name" in names:
        road.hub_sees("UPDATE crm.company SET name = %s WHERE registration = %s", value, f"R{code}")


@pytest.fixture
def agreed(road: Road) -> Road:
    """Five records that both sides agree on."""
    road.run("erp", HEAD, *[line(code) for code in "12345"])
    return road


OURS, THEIRS, BASE = "ours", "theirs", "base"
EXPECTED = {  # field: value after only the file changed, only the CRM changed, both changed
    "name": (THEIRS, BASE, THEIRS),
    "phone": (THEIRS, OURS, THEIRS),
    "language": (BASE, OURS, OURS),
    "city": (BASE, OURS, OURS),
    "notes": (THEIRS, OURS, OURS),  # review: nobody has won yet
    "street": (THEIRS, OURS, OURS),
    "website": (THEIRS, OURS, THEIRS),
    "source": (THEIRS, OURS, OURS),
    "email": (THEIRS, OURS, OURS),
}
WINNERS = {"name": "remote", "phone": "remote", "language": "crm", "city": "crm", "notes": "open", "street": "crm",
           "website": "remote", "source": "crm", "email": "open"}


def test_the_truth_table(agreed: Road) -> None:
    road = agreed
    edit(road, "2", OURS)
    edit(road, "3", OURS)
    edit(road, "4", "same")
    file = [HEAD, line("1", THEIRS), line("2"), line("3", THEIRS), line("4", "same"), line("5")]
    result = road.run("erp", *file)
    assert told(result) == {"updated": 2, "review": 1, "unchanged": 2, "conflicts": 9}
    for case, code in enumerate("123"):
        assert values(road, code) == {name: told[case] for name, told in EXPECTED.items()}, case
    assert values(road, "4") == dict.fromkeys(FIELDS, "same")
    assert values(road, "5") == dict.fromkeys(FIELDS, BASE)
    assert conflicts(road, "3") == {
        name: (BASE, OURS, THEIRS, winner, "open" if winner == "open" else "logged") for name, winner in WINNERS.items()
    }
    assert [conflicts(road, code) for code in "1245"] == [{}, {}, {}, {}]


def test_the_base_has_both_images_and_an_open_conflict_keeps_it(agreed: Road) -> None:
    road = agreed
    edit(road, "2", OURS)
    edit(road, "3", OURS)
    road.run("erp", HEAD, line("1", THEIRS), line("2"), line("3", THEIRS))
    assert entry(road, "1") == {name: told[0] for name, told in EXPECTED.items()} | {"language*": THEIRS, "city*": THEIRS}
    only_crm = {name: told[1] for name, told in EXPECTED.items()}
    assert entry(road, "2") == only_crm | {f"{name}*": BASE for name, value in only_crm.items() if value == OURS}
    kept = {"notes": BASE, "email": BASE}
    assert entry(road, "3") == {name: told[2] for name, told in EXPECTED.items()} | kept | {
        "language*": THEIRS, "city*": THEIRS, "street*": THEIRS, "source*": THEIRS}


def test_a_second_run_of_the_same_file_writes_nothing(agreed: Road) -> None:
    road = agreed
    for code in "23":
        edit(road, code, OURS)
    file = [HEAD, line("1", THEIRS), line("2"), line("3", THEIRS), line("4"), line("5")]
    road.run("erp", *file)
    before = (road.journal(), road.companies("id", "version", "updated_at"), road.one("SELECT count(*) FROM sync.conflict"))
    for _ in range(2):
        assert told(road.run("erp", *file)) == {"unchanged": 4, "review": 1}
    after = (road.journal(), road.companies("id", "version", "updated_at"), road.one("SELECT count(*) FROM sync.conflict"))
    assert after == before


def test_an_override_lasts_until_the_master_changes_its_value(agreed: Road) -> None:
    road = agreed
    edit(road, "1", OURS, ("phone",))
    road.run("erp", HEAD, line("1", name="other"))
    assert values(road, "1")["phone"] == OURS, "the row came again, but with the phone it had"
    road.run("erp", HEAD, line("1", name="third"))
    assert values(road, "1")["phone"] == OURS
    road.run("erp", HEAD, line("1", phone="new"))
    assert (values(road, "1")["phone"], conflicts(road, "1")) == ("new", {}), "the override was agreed on before"


def test_drift_of_a_locked_field_is_repaired_from_the_same_file(agreed: Road) -> None:
    edit(agreed, "1", OURS, ("name",))
    assert told(agreed.run("erp", HEAD, line("1"))) == {"updated": 1}
    assert (values(agreed, "1")["name"], conflicts(agreed, "1")) == (BASE, {})


def test_an_open_conflict_is_settled_by_agreeing(agreed: Road) -> None:
    road = agreed
    edit(road, "1", OURS, ("email",))
    assert told(road.run("erp", HEAD, line("1", email=THEIRS))) == {"review": 1, "conflicts": 1}
    edit(road, "1", THEIRS, ("email",))
    assert told(road.run("erp", HEAD, line("1", email=THEIRS))) == {"unchanged": 1}
    road.run("erp", HEAD, line("1", email="next"))
    assert values(road, "1")["email"] == "next"


def test_without_a_base_an_empty_side_takes_the_other_and_two_values_are_a_conflict(road: Road) -> None:
    names = ", ".join(FIELDS)
    for code, value in (("1", OURS), ("2", None), ("3", OURS), ("4", "same")):
        road.crm(f"INSERT INTO crm.company (registration, {names}) VALUES (%s{', %s' * len(FIELDS)})",
                 f"R{code}", *[value if name != "name" else value or "none" for name in FIELDS])
    result = road.run("erp", HEAD, line("1", THEIRS), line("2", THEIRS), line("3", "", name=THEIRS), line("4", "same"))
    assert values(road, "1") == {name: told[2] for name, told in EXPECTED.items()}
    assert {name: told[3] for name, told in conflicts(road, "1").items() if name not in ("name", "phone")} == {
        name: winner for name, winner in WINNERS.items() if name not in ("name", "phone")}
    assert values(road, "2") == dict.fromkeys(FIELDS, THEIRS)
    assert values(road, "3") == dict.fromkeys(FIELDS, OURS) | {"name": THEIRS, "phone": None}
    assert conflicts(road, "3") == {}
    assert values(road, "4") == dict.fromkeys(FIELDS, "same")
    assert told(result) | {"conflicts": 0} == {"updated": 2, "review": 1, "unchanged": 1, "conflicts": 0}


def test_keep_links_without_changing_the_record_and_later_runs_settle_fields(road: Road) -> None:
    road.crm("INSERT INTO crm.company (registration, name) VALUES ('R1', 'ours')")
    before = road.journal()
    assert told(road.run("kept", "CODE;REG;NAME;CITY", "1;R1;theirs;Lille")) == {"unchanged": 1}
    assert (road.companies("name", "city"), road.journal()) == ([("ours", None)], before)
    assert road.one("SELECT count(*) FROM sync.crosswalk_company") == 1


def test_the_master_of_a_type_masters_records_of_that_type(road: Road) -> None:
    head = "CODE;NAME;TYPE;CREDIT;CUR"
    road.run("money", head, *[f"{kind};{kind};{kind};100;EUR" for kind in ("customer", "supplier", "prospect")])
    assert set(road.companies("credit_limit::int", "credit_limit_currency")) == {(100, "EUR")}
    road.run("money", head, *[f"{kind};{kind};{kind};200;CHF" for kind in ("customer", "supplier", "prospect")])
    assert road.companies("name", "credit_limit::int", "credit_limit_currency") == [
        ("customer", 200, "CHF"), ("prospect", 100, "EUR"), ("supplier", 100, "EUR")]


def test_of_ranked_masters_the_first_that_has_a_value_wins(road: Road) -> None:
    def vat() -> object:
        return road.one("SELECT vat_number FROM crm.company")

    road.crm("INSERT INTO crm.company (registration, name) VALUES ('R1', 'Anvil')")
    road.run("vat_cmms", "CODE;REG;VAT", "c;R1;from cmms")
    assert vat() == "from cmms"
    road.run("vat_erp", "CODE;REG;VAT", "e;R1;from erp")
    assert vat() == "from erp"
    road.run("vat_cmms", "CODE;REG;VAT", "c;R1;newer cmms")
    assert vat() == "from erp"
    road.run("vat_erp", "CODE;REG;VAT", "e;R1;")
    road.run("vat_cmms", "CODE;REG;VAT", "c;R1;newest cmms")
    assert vat() == "newest cmms"


def test_a_blank_cell_clears_unless_the_mapping_keeps_and_an_absent_column_says_nothing(road: Road) -> None:
    road.run("blanks", "CODE;NAME;NOTES;STREET", "1;Anvil;note;road")
    road.run("blanks", "CODE;NAME;NOTES;STREET", "1;Anvil;;")
    assert road.companies("notes", "street") == [("note", None)]
    road.run("blanks", "CODE;NAME;NOTES;STREET", "1;Anvil;note;road")
    lacking = road.run("blanks", "CODE;NAME", "1;Bolt")
    assert told(lacking) == {"updated": 1}
    assert lacking.notices == ["company: the source has no column NOTES, STREET; the fields that are read from there stay"
                               " as they are: correct the mapping if that is not meant"]
    assert road.companies("name", "notes", "street") == [("Bolt", "note", "road")]
    assert road.counts("blanks", "CODE;NAME;NOTES;STREET", "1;Bolt;newer;other") == {"updated": 1}
    assert road.companies("notes", "street") == [("newer", "other")]


def test_a_set_without_members_is_as_good_as_none_on_whichever_side_it_is(road: Road) -> None:
    head = "CODE;NAME;TAGS"
    road.run("sets", head, "1;Anvil;blue", "2;Bolt;blue", "3;Cable;red")
    road.crm("UPDATE crm.company SET tags = CASE name WHEN 'Anvil' THEN '{green}'::text[] ELSE '{}' END WHERE name < 'C'")
    assert road.counts("sets", head, "1;Anvil;", "2;Bolt;", "3;Cable;") == {"unchanged": 3, "conflicts": 1}
    assert road.counts("sets", head, "1;Anvils;", "2;Bolts;", "3;Cables;") == {"updated": 3}
    assert (road.companies("tags"), road.held()) == ([(["green"],), ([],), (["red"],)], [])
    assert road.one("SELECT count(*) FROM sync.conflict WHERE state = 'open'") == 0


def test_a_row_that_says_nothing_leaves_what_both_sides_had_agreed_on(road: Road) -> None:
    head = "CODE;NAME;NOTES;STREET"
    road.run("blanks", head, "1;Anvil;base;")
    road.crm("UPDATE crm.company SET notes = 'ours'")
    assert road.counts("blanks", head, "1;Anvil;;road") == {"updated": 1}
    assert road.counts("blanks", head, "1;Anvil;base;road") == {"unchanged": 1}
    assert road.companies("notes") == [("ours",)]
    assert road.counts("blanks", head, "1;Anvil;theirs;road") == {"updated": 1}


def test_a_row_that_says_nothing_leaves_an_open_conflict_open(road: Road) -> None:
    head = "CODE;NAME;NOTES;STREET"
    road.run("blanks", head, "1;Anvil;base;")
    road.crm("UPDATE crm.company SET notes = 'ours'")
    assert road.counts("blanks", head, "1;Anvil;theirs;") == {"review": 1, "conflicts": 1}
    road.run("blanks", head, "1;Anvil;;road")
    assert road.counts("blanks", head, "1;Anvil;theirs;road") == {"review": 1}
    [waiting] = reviews(road.hub).conflicts
    settle_conflict(road.hub, waiting.id, "theirs")
    assert road.companies("notes") == [("theirs",)]


def test_newest_compares_the_row_s_stamp_with_the_field_s_own_time(road: Road) -> None:
    head = "CODE;NAME;SEGMENT;AT"
    road.run("stamped", head, "1;Anvil;base;2020-01-01", "2;Bolt;base;2020-01-01", "3;Cog;base;")
    road.crm("UPDATE crm.company SET segment = 'ours'")
    road.crm("UPDATE crm.company SET city = 'Lille'")
    road.run("stamped", head, "1;Anvil;theirs;2021-01-01", "2;Bolt;theirs;2999-01-01", "3;Cog;theirs;")
    assert road.companies("segment") == [("ours",), ("theirs",), ("ours",)]
    winners = road.hub_sees("SELECT key, winner, state FROM sync.conflict WHERE field = 'segment' ORDER BY key")
    assert winners == [("1", "crm", "logged"), ("2", "remote", "logged"), ("3", "open", "open")], "3 tells no time"


@pytest.mark.parametrize(("here", "there", "value", "winner"), [
    (THEIRS, THEIRS, THEIRS, "remote"), (OURS, OURS, OURS, "crm"), ("third", "third", "third", "open"),
    (OURS, BASE, OURS, "crm"), (BASE, THEIRS, THEIRS, "remote"),
])
def test_a_conflict_that_the_two_sides_end_themselves_is_settled_by_the_run_that_sees_it(
        agreed: Road, here: str, there: str, value: str, winner: str) -> None:
    road = agreed
    edit(road, "1", OURS, ("email",))
    road.run("erp", HEAD, line("1", email=THEIRS), line("2"))
    edit(road, "1", "other", ("email",))
    road.run("erp", HEAD, line("1", email="next"), line("2"))
    edit(road, "1", OURS, ("email",))
    road.run("erp", HEAD, line("1", email=THEIRS), line("2"))
    assert len(reviews(road.hub).conflicts) == 1
    edit(road, "1", here, ("email",))
    run = road.run("erp", HEAD, line("1", email=there), line("2"))
    assert (values(road, "1")["email"], reviews(road.hub).conflicts) == (value, ())
    found = road.hub_sees("SELECT state, decision->>'what', decision->>'value', (decision->>'run_id')::int, winner"
                          " FROM sync.conflict WHERE field = 'email' ORDER BY id DESC")
    assert found[0] == ("settled", "agreed", value, run.run_id, winner)
    assert {row[0] for row in found} == {"settled"}, "those that it replaced, too"
    told_lines = [text for event in trace(road.hub, "erp", "1").events for text in event_lines(event)]
    assert any(text.endswith(f"erp run {run.run_id}: email is no longer disputed; {value} stands") for text in told_lines)


def test_an_agreement_settles_its_own_field_of_its_own_record(road: Road) -> None:
    first_met(road, "1", "name", "email", "notes")
    first_met(road, "2", "name", "email", "notes")
    edit(road, "1", THEIRS, ("email",))
    road.run("erp", HEAD, line("1", THEIRS), line("2", THEIRS))
    assert {(conflict.key, conflict.field) for conflict in reviews(road.hub).conflicts} == {
        ("1", "notes"), ("2", "email"), ("2", "notes")}


def test_a_conflict_that_a_policy_decides_by_now_is_settled(road: Road) -> None:
    head = "CODE;NAME;SEGMENT;AT"
    road.run("stamped", head, "1;Anvil;base;2020-01-01")
    road.crm("UPDATE crm.company SET segment = 'ours'")
    road.run("stamped", head, "1;Anvil;theirs;")
    assert [conflict.field for conflict in reviews(road.hub).conflicts] == ["segment"]
    road.run("stamped", head, "1;Anvil;theirs;2999-01-01")
    assert (road.companies("segment"), reviews(road.hub).conflicts) == ([("theirs",)], ())
    assert road.hub_sees("SELECT state, winner FROM sync.conflict ORDER BY id") == [
        ("settled", "remote"), ("logged", "remote")]


def first_met(road: Road, code: str, *names: str) -> dict[str, int]:
    """A record of the CRM that differs from the file in these fields when they meet: the open conflicts, by field."""
    road.crm(f"INSERT INTO crm.company (registration, {', '.join(names)}) VALUES (%s{', %s' * len(names)})",
             f"R{code}", *[OURS] * len(names))
    road.run("erp", HEAD, line(code, THEIRS))
    return dict(road.hub_sees("SELECT field, id FROM sync.conflict WHERE state = 'open' AND key = %s", code))


@pytest.mark.parametrize("side", ["ours", "theirs"])
@pytest.mark.parametrize("field", ["email", "notes"])
def test_of_two_conflicts_without_a_base_the_settled_one_stays_settled(road: Road, field: str, side: Side) -> None:
    found = first_met(road, "1", "name", "email", "notes")
    assert set(found) == {"email", "notes"}
    settle_conflict(road.hub, found.pop(field), side)
    for _ in range(2):
        assert told(road.run("erp", HEAD, line("1", THEIRS))) == {"review": 1}
        assert {conflict.id for conflict in reviews(road.hub).conflicts} == set(found.values())
    assert values(road, "1")[field] == (OURS if side == "ours" else THEIRS)
    [last] = found.values()
    settle_conflict(road.hub, last, side)
    assert told(road.run("erp", HEAD, line("1", THEIRS))) == {"unchanged": 1}
    assert not reviews(road.hub)


def test_what_was_agreed_on_beside_a_conflict_is_agreed_on(road: Road) -> None:
    first_met(road, "1", "name", "email", "city")
    edit(road, "1", "newer here", ("notes",))
    assert told(road.run("erp", HEAD, line("1", THEIRS))) == {"review": 1}, "notes changed on one side only"
    assert values(road, "1")["notes"] == "newer here"
    assert road.one("SELECT count(*) FROM sync.conflict WHERE field = 'city'") == 1, "the loser is told once"
    assert [conflict.field for conflict in reviews(road.hub).conflicts] == ["email"]


def test_a_conflict_over_a_field_that_is_new_to_the_mapping_leaves_the_others_their_base(agreed: Road) -> None:
    road = agreed
    without = [name for name in FIELDS if name != "email"]
    head = ";".join(["CODE", "REG", *[FIELDS[name] for name in without]])
    road.crm("INSERT INTO crm.company (registration, name, email) VALUES ('R6', 'six', 'ours')")
    road.run("erp", head, ";".join(["6", "R6", *["base"] * len(without)]))
    assert told(road.run("erp", HEAD, line("6", email=THEIRS))) == {"review": 1, "conflicts": 1}
    edit(road, "6", OURS, ("notes",))
    assert told(road.run("erp", HEAD, line("6", email=THEIRS))) == {"review": 1}
    assert (values(road, "6")["notes"], len(reviews(road.hub).conflicts)) == (OURS, 1)
