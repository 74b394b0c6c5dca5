"""A preview tells what the file told of itself, which rows would be held and why, and what both sides have changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipelines.cli import main
from pipelines.ops.rejects import open_causes, open_rows
from pipelines.runs.intake import run_flow
from pipelines.runs.preview import Preview, preview_flow
from tests.road_desk import Road, roads

pytestmark = pytest.mark.slow

module_road, road = roads({
    "first_look": """
flow: first_look
system: erp
read: {files: "export*.csv"}
into: {entity: company, key: Code, fields: {name: Nom, siret: Siret, vat_number: N° TVA}}
""",
    "groups": """
flow: groups
system: erp
into: {entity: company, ids: groups, key: CODE, fields: {name: NAME, parent: {from: OF, refers: company}}}
""",
    "met": """
flow: met
system: cmms
into:
  entity: company
  key: CODE
  match: [siret]
  fields: {name: NAME, siret: SIRET, city: CITY, postal_code: {from: ZIP, region: FR}, language: {from: LANG, as: text},
           credit_limit: {from: CREDIT, currency: EUR}, parent: {from: OF, refers: company}}
""",
})
HEAD, MET = "Code;Nom;Siret;N° TVA", "CODE;NAME;SIRET;CITY;ZIP;LANG;CREDIT;OF"
BOLT = "55208131766522"


@pytest.fixture
def shown(road: Road, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """What a command prints, on the road's own hub."""
    monkeypatch.setattr("pipelines.hub.open_hub", lambda root: road.hub)

    def command(*words: str) -> str:
        monkeypatch.setattr("sys.argv", ["navette", "--project", str(road.root), *words])
        with pytest.raises(SystemExit):
            main()
        return capsys.readouterr().out

    return command


def export(road: Road) -> Path:
    path = road.write("export1.csv", [])
    path.write_bytes(f"{HEAD}\nF1;Café;73282932000075;\nF2;B;;\n;C;;\n".encode("cp1252"))
    return path


def as_run(road: Road, flow: str, file: Path) -> Preview:
    """A preview whose counters are those of the run after it."""
    seen = preview_flow(road.hub, flow, file=file)
    assert road.held() == []
    run, = run_flow(road.hub, flow, file=file)
    assert seen.result.into == run.into
    assert seen.result.detected == run.detected
    return seen


def told_rows(seen: Preview) -> dict[tuple[str, str, str], tuple[int, list[tuple[Any, Any, str]]]]:
    """By outcome, code and field: how many rows, and those shown."""
    return {(one["outcome"], one["code"], one["field"]):
            (one["count"], [(row["key"], row["line"], row["sentence"]) for row in one["rows"]])
            for one in seen.as_json()["causes"]}


def test_a_first_look_tells_people_what_was_found_and_why_rows_would_be_refused(
        road: Road, shown: Callable[..., str]) -> None:
    told = shown("preview", "first_look", "--file", str(export(road)))
    assert "encoding: cp1252" in told
    assert "delimiter: ;" in told
    assert "read: format:" in told
    assert "1  rejected  company  not_siret siret  line 2" in told
    assert "line 2  F1  siret: '73282932000075' is not a valid SIRET" in told
    assert "line 4  the key Code is empty" in told
    assert "row F2 (company): created" in told


def test_a_first_look_tells_scripts_the_same(road: Road, shown: Callable[..., str]) -> None:
    told = json.loads(shown("preview", "first_look", "--file", str(export(road)), "--json"))
    assert told["detected"]["encoding"] == "cp1252"
    assert {(one["code"], one["field"], one["count"], one["more"]) for one in told["causes"]} == {
        ("not_siret", "siret", 1, 0), ("no_key", "Code", 1, 0)}


def test_what_would_be_held_is_told_in_the_words_of_the_rejects(road: Road) -> None:
    seen = as_run(road, "first_look", export(road))
    causes = open_causes(road.hub, "first_look")
    rows = {(row.line, cause.code): cause.sentence for row in open_rows(road.hub, "first_look") for cause in row.causes}
    assert [{**one, "source": None} for one in seen.as_json()["causes"]] == [
        {**cause.as_json(), "source": None, "more": 0, "rows": [
            {"key": "F1" if cause.code == "not_siret" else None, "line": cause.first_line, "sentence": cause.sentence,
             "value": "73282932000075" if cause.code == "not_siret" else None}]}
        for cause in causes]
    assert {(row["line"], one["code"]): row["sentence"] for one in seen.as_json()["causes"] for row in one["rows"]
            } == rows


def test_rows_that_would_be_parked_or_looked_at_are_told_too(road: Road) -> None:
    road.run("first_look", HEAD, f"1;One;{BOLT};", f"2;Two;{BOLT};")
    seen = as_run(road, "met", road.write("met.csv", [MET, f"A;x;{BOLT};;;;;", "B;y;;;;;;nobody"]))
    held = told_rows(seen)
    assert {name[0] for name in held} == {"parked", "review"}
    assert {name[0]: (count, rows[0][:2]) for name, (count, rows) in held.items()} == {
        "parked": (1, ("B", 3)), "review": (1, ("A", 2))}


def test_what_is_shown_of_held_rows_is_bounded_and_the_rest_is_counted(road: Road, shown: Callable[..., str]) -> None:
    file = road.write("export2.csv", [HEAD, *[f"{n};N;1;" for n in range(300)], ";no key;;", "short"])
    seen = preview_flow(road.hub, "first_look", file=file)
    held = told_rows(seen)
    assert {name[1]: count for name, (count, _) in held.items()} == {"not_siret": 300, "no_key": 1, "columns": 1}
    assert {name[1]: len(rows) for name, (_, rows) in held.items()} == {"not_siret": 18, "no_key": 1, "columns": 1}
    assert "and 282 more" in shown("preview", "first_look", "--file", str(file))
    few = shown("preview", "first_look", "--file", str(file), "--limit", "0")
    assert "300  rejected  company  not_siret siret  lines 2 to 301" in few
    assert "siret: '1' is not a valid SIRET" in few


def test_a_preview_counts_the_conflicts_of_the_run_and_shows_both_sides(road: Road, shown: Callable[..., str]) -> None:
    road.run("first_look", HEAD, f"2;Bolt;{BOLT};")
    record = road.one("SELECT id FROM crm.company")
    road.crm("UPDATE crm.company SET city = 'Lyon', postal_code = '69001', language = 'fr', credit_limit = 5,"
             " credit_limit_currency = 'EUR'")
    file = road.write("met.csv", [MET, f"X2;BOLT SA;{BOLT};Paris;75001;de;7;X3", "X3;Head;;;;;;"])
    told = shown("preview", "met", "--file", str(file))
    assert "postal_code: 69001 here, 75001 there; nobody has decided yet" in told
    assert "name: Bolt here, BOLT SA there; the CRM's value stands" in told
    assert "credit_limit: [5.00, EUR] here, [7.00, EUR] there" in told
    seen = as_run(road, "met", file)
    assert seen.result.into["company"]["conflicts"] > 2
    logged = {name: {"ours": ours, "theirs": theirs, "winner": winner} for name, ours, theirs, winner in road.hub_sees(
        "SELECT field, ours, theirs, winner FROM sync.conflict WHERE record_id = %s", record)}
    one, = (change for change in seen.changes if change["key"] == "X2")
    assert one["outcome"] == "review"
    assert json.loads(json.dumps(one["conflicts"], default=float)) == logged


def test_a_conflict_that_the_crm_wins_is_shown_though_nothing_changes_and_an_open_one_is_counted_once(road: Road
                                                                                                     ) -> None:
    road.run("first_look", HEAD, f"2;Bolt;{BOLT};")
    file = road.write("met.csv", [MET, f"X2;BOLT SA;{BOLT};;;;;"])
    one, = as_run(road, "met", file).changes
    assert (one["outcome"], one["fields"], list(one["conflicts"])) == ("unchanged", {}, ["name"])
    road.crm("UPDATE crm.company SET postal_code = '69001'")
    again = road.write("again.csv", [MET, f"X2;BOLT SA;{BOLT};;75001;;;"])
    assert as_run(road, "met", again).result.into["company"]["conflicts"] == 1
    seen = as_run(road, "met", again)
    assert seen.result.into["company"]["conflicts"] == 0
    assert [list(change["conflicts"]) for change in seen.changes] == [["postal_code"]]
