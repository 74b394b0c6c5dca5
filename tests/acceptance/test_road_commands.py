"""`navette run`, `preview` and `review settle` as a script sees them: exit codes and JSON, on the road's own cases."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pipelines.cli import main
from pipelines.runs import patience
from pipelines.runs.lock import flow_lock
from tests.road_desk import COMPANIES, OUTCOME_NAMES, Road, roads

pytestmark = pytest.mark.slow

module_road, road = roads({
    "companies": COMPANIES + "guard: {archives: 10%}\n",
    "asked": COMPANIES.replace("flow: companies", "flow: asked").replace("absent: archive", "absent: review"),
})
HEAD = "CODE;NAME;ZIP;NOTES"


def rows(*codes: object) -> list[str]:
    return [f"{code};Company {code};59000;" for code in codes]


@pytest.fixture
def navette(road: Road, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs a command on the road's own hub; returns exit code and answer."""
    monkeypatch.setattr("pipelines.hub.open_hub", lambda root: road.hub)

    def run(*words: str) -> tuple[int, Any]:
        monkeypatch.setattr("sys.argv", ["navette", "--project", str(road.root), *words, "--json"])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code or 0, json.loads(capsys.readouterr().out)

    return run


def test_a_run_answers_with_every_outcome_by_name(road: Road, navette: Any) -> None:
    file = road.write("one.csv", [HEAD, *rows(1, 2), ";nameless;;"])
    code, told = navette("run", "companies", "--file", str(file))
    assert (code, told["state"], told["flow"]) == (0, "done", "companies")
    counts = told["into"]["company"]
    expected = dict.fromkeys(OUTCOME_NAMES, 0) | {"created": 2, "rejected": 1}
    assert {name: counts[name] for name in OUTCOME_NAMES} == expected
    assert counts["rows_read"] == 3


@pytest.mark.parametrize(("path", "said", "todo"), [
    ("files/onne.csv", "there is no such file in {root}/files", "did you mean {root}/files/one.csv?"),
    ("files/CLI_20260105.csv", "there is no such file in {root}/files", "did you mean {root}/drop/CLI_20260105.csv?"),
    ("fils/x", "there is no folder {root}/fils", "check the path"),
    ("files", "this is a folder, not a file", "name a file in it"),
    ("files/" + "x" * 300, "there is no such file in {root}/files", "check the path"),
])
@pytest.mark.parametrize("command", ["run", "preview"])
def test_a_path_that_leads_to_no_file_is_no_run(
    road: Road, navette: Any, command: str, path: str, said: str, todo: str
) -> None:
    road.write("one.csv", [HEAD])
    (road.root / "drop" / "CLI_20260105.csv").write_text(HEAD)
    code, told = navette(command, "companies", "--file", str(road.root / path))
    (road.root / "drop" / "CLI_20260105.csv").unlink()
    assert (code, told["error"], told["todo"]) == (1, said.format(root=road.root), todo.format(root=road.root))
    assert told["where"] == str(road.root / path)
    assert road.hub_sees("SELECT id FROM sync.run") == []


def test_every_flow_is_run_as_it_says_itself(navette: Any) -> None:
    for beside in (["companies"], ["--file", "x.csv"], ["--supersede"]):
        code, told = navette("run", "--all", *beside)
        assert (code, told["error"]) == (1, "--all runs every flow as it says itself")


def test_review_held_back_supersede_and_settle_have_their_exit_codes(road: Road, navette: Any) -> None:
    whole, cut = road.write("whole.csv", [HEAD, *rows(*range(40))]), road.write("cut.csv", [HEAD, *rows(1)])
    assert navette("run", "companies", "--file", str(whole))[0] == 0
    code, waiting = navette("run", "companies", "--file", str(cut))
    assert (code, waiting["state"]) == (3, "review")
    code, told = navette("run", "companies", "--file", str(whole))
    assert (code, "waits in review" in told["error"]) == (3, True)
    code, again = navette("run", "companies", "--file", str(cut), "--supersede")
    assert (code, again["state"]) == (3, "review")
    code, settled = navette("review", "settle", str(again["run_id"]), "--approve")
    assert (code, settled["state"], settled["into"]["company"]["archived"]) == (0, "done", 39)
    code, told = navette("review", "settle", str(again["run_id"]), "--approve")
    assert (code, "only a run in review" in told["error"]) == (1, True)


def test_an_absent_row_is_settled_by_one_decision(road: Road, navette: Any) -> None:
    road.run("asked", HEAD, *rows(1, 2, 3))
    road.run("asked", HEAD, *rows(1))
    two, three = (str(number) for (number,) in road.hub_sees("SELECT id FROM sync.held ORDER BY key"))
    code, told = navette("review", "row", two, "--archive", "--keep")
    assert (code, told["error"]) == (1, "one decision, please")
    assert navette("review", "row", two, "--archive") == (0, {"row": int(two), "key": "2", "settled": "archive"})
    assert navette("review", "row", three, "--keep") == (0, {"row": int(three), "key": "3", "settled": "keep"})
    code, told = navette("review", "row", three, "--unlink")
    assert (code, f"row {three} is closed" in told["error"]) == (1, True)
    code, told = navette("trace", "erp", "2")
    assert [event["said"]["decision"]["what"] for event in told["events"] if event["kind"] == "closed"] == ["archive"]


def test_a_second_run_of_the_flow_is_told_so_and_a_wrong_name_lists_the_flows(
    road: Road, navette: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "LONGEST", 0.1)
    file = road.write("one.csv", [HEAD, *rows(1)])
    with flow_lock(road.hub, "companies"):
        code, told = navette("run", "companies", "--file", str(file))
    assert (code, told["error"]) == (4, "another run of this flow is under way")
    code, told = navette("run", "company", "--file", str(file))
    assert (code, "companies" in told["todo"]) == (1, True)


def test_a_preview_tells_the_same_counts_and_writes_nothing(road: Road, navette: Any) -> None:
    road.run("companies", HEAD, *rows(*range(30)))
    file = road.write("two.csv", [HEAD, "1;Renamed;59000;", *rows(*range(2, 30)), *rows(99)])
    before = road.journal(), road.companies("name", "version")
    code, told = navette("preview", "companies", "--file", str(file))
    assert (code, (road.journal(), road.companies("name", "version")), road.staging()) == (0, before, [])
    _, done = navette("run", "companies", "--file", str(file))
    assert told["into"]["company"] == done["into"]["company"]
    changed = {change["key"]: change["fields"] for change in told["changes"]}
    assert changed["1"] == {"name": ["Company 1", "Renamed"]}
