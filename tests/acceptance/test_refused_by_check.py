"""What `navette check` refuses does not run, whichever way it is asked to; nor does it stop what is right."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from connectors.registry import settings_models
from crm_store.entity_tables import compile_entities
from mappings.check import check_project
from mappings.errors import ConfigurationError
from mappings.language.project import require_project
from pipelines.cli import main
from pipelines.hub import Hub
from pipelines.ops.export import export_held
from pipelines.ops.status import status
from pipelines.runs.intake import run_all, run_flow
from pipelines.runs.preview import preview_flow
from pipelines.runs.pushing import push_all, push_flow
from pipelines.runs.replay import replay, retry_parked
from pipelines.runs.settling import settle_run
from tests.acceptance.dagster_project import customers, drop
from tests.acceptance.test_dagster_runs import House, house, read
from tests.file_desk import FLOW, FileDesk, desk
from tests.road_desk import COMPANIES, Road, roads

pytestmark = pytest.mark.slow

__all__ = ["desk", "house", "read"]

INTO = "into: {{entity: company, key: CODE, fields: {{name: NAME, {0}}}}}\n"
WRONG = {
    "clock": 'read: {files: "A {day:%m-%d-%Y %I-%M-%S}.csv"}\n' + INTO.format("notes: NOTES"),
    "nameless": 'read: {files: "B*"}\ninto: {entity: company, key: CODE, fields: {notes: NOTES}}\n',
    "amount": 'read: {files: "G*"}\n' + INTO.format("credit_limit: CREDIT"),
    "dates": 'read: {files: "D*"}\n' + INTO.format("opened_on: {from: SINCE, format: dd/mm/yyyy}"),
    "pattern": 'read: {files: "E*"}\n' + INTO.format('notes: {from: NOTES, pattern: "(["}'),
    "unstamped": 'read: {files: "F*"}\n' + INTO.format("segment: SEGMENT"),
}
HEAD = "CODE;NAME;ZIP;NOTES"
module_road, road = roads({
    "companies": COMPANIES + "guard: {archives: 10%}\n",
    **{name: f"flow: {name}\nsystem: erp\n{rest}" for name, rest in WRONG.items()},
})


def mistakes(root: Path, flow: str) -> list[str]:
    """What `navette check` says of the flow."""
    problems = check_project(root, {}, connectors=settings_models())
    return [str(problem) for problem in problems if problem.file == f"mappings/flows/{flow}.yaml"]


@pytest.mark.parametrize("flow", WRONG)
def test_a_flow_that_check_refuses_is_neither_run_nor_previewed_and_says_what_check_says(road: Road, flow: str) -> None:
    file = road.write("any.csv", ["CODE;NAME;NOTES;CREDIT;SINCE;SEGMENT", "1;Anvil;note;1;01/02/2026;one"])
    said = mistakes(road.root, flow)
    assert said
    for start in (run_flow, preview_flow):
        with pytest.raises(ConfigurationError) as refused:
            start(road.hub, flow, file=file)
        assert [str(problem) for problem in refused.value.problems] == said
        assert all(line in str(refused.value) for line in said)
    assert (road.names(), road.one("SELECT count(*) FROM sync.run")) == ([], 0)


def test_the_commands_end_with_1_and_the_places(road: Road, monkeypatch: pytest.MonkeyPatch,
                                                capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("pipelines.hub.open_hub", lambda root: road.hub)
    for words in (["run"], ["preview"], ["push"]):
        monkeypatch.setattr("sys.argv", ["navette", "--project", str(road.root), *words, "amount", "--json"])
        with pytest.raises(SystemExit) as ended:
            main()
        told = json.loads(capsys.readouterr().out)
        assert ended.value.code == 1
        assert [(one["file"], one["line"]) for one in told["problems"]] == [("mappings/flows/amount.yaml", 4)]


def test_a_wrong_flow_stops_no_other_and_all_flows_tell_of_it(road: Road) -> None:
    (road.root / "drop" / "CLI_20261122.csv").write_text(f"{HEAD}\n1;Anvil;59000;\n")
    results = {result.flow: result for result in run_all(road.hub)}
    assert (results["companies"].state, road.names()) == ("done", ["Anvil"])
    assert [path.name[:12] for path in (road.root / "drop" / "done").iterdir()] == ["CLI_20261122"]
    assert {name: result.exit_code for name, result in results.items()} == dict.fromkeys(WRONG, 1) | {"companies": 0}
    assert mistakes(road.root, "clock")[0] in results["clock"].problem["message"]
    assert {one.flow for one in status(road.hub)} == {"companies", *WRONG}


@pytest.fixture
def spoiled(road: Road) -> Any:
    """Gives the hub of the project after somebody put a mistake into the flow `companies`."""
    path = road.root / "mappings/flows/companies.yaml"
    text = path.read_text()

    def spoil() -> Hub:
        path.write_text(text.replace("{from: ZIP, region: FR}", "{from: ZIP, region: Nowhere}"))
        project = require_project(road.root, {})
        return Hub(project, road.hub.home, road.store, compile_entities(project.entities))

    yield spoil
    path.write_text(text)


def test_what_a_flow_left_behind_can_be_settled_and_looked_at_before_it_is_mended(
        road: Road, spoiled: Callable[[], Hub]) -> None:
    road.run("companies", HEAD, *[f"{number};Company {number};59000;" for number in range(40)], "41;;59000;")
    waits = road.run("companies", HEAD, "1;Company 1;59000;", state="review")
    hub = spoiled()
    assert settle_run(hub, waits.run_id, approve=False).state == "refused"
    assert [one.rows for one in export_held(hub, "companies")] == [1]
    with pytest.raises(ConfigurationError, match="check finds a mistake"):
        replay(hub, "companies")
    assert [(one.flow, one.exit_code) for one in replay(hub)] == [("companies", 1)]
    assert retry_parked(hub) == []
    assert road.held() == [("rejected", "41", "required")]


def test_nothing_is_sent_by_a_flow_that_check_refuses(desk: FileDesk) -> None:
    desk.company("Anvil")
    desk.flow(FLOW.replace("currency: EUR", "currency: Doubloon"))
    with pytest.raises(ConfigurationError, match="'Doubloon' is no currency"):
        push_flow(desk.hub, "customers_out")
    (told,) = push_all(desk.hub)
    assert (told.exit_code, "'Doubloon' is no currency" in str(told.problem), desk.there()) == (1, True, [])
    assert [state for _, state, _ in desk.markers()] == ["waiting"]
    desk.flow(FLOW)
    assert desk.push().counts["written"] == 1


def test_dagster_tells_what_check_says_and_goes_on_with_the_other_flows_of_a_folder(house: House, tmp_path: Path) -> None:
    wrong = house.edited(tmp_path / "wrong", "flows/contacts", "contacts_*.csv", "contacts_{day:%q}.csv")
    drop(wrong.root, "customers_20261101.csv", customers(range(1, 4)))
    looked = wrong.look()
    assert [request.job_name for request in looked.run_requests] == ["customers"]
    assert wrong.run("customers").success
    assert wrong.look(looked.cursor).skip_reason.skip_message.startswith("contacts: read.files: {day:%q}: %q is not")
    failed = wrong.run("contacts")
    assert "mappings/flows/contacts.yaml:4:15: read.files: {day:%q}" in failed.failure


def test_a_replay_of_all_flows_in_dagster_fails_by_the_one_that_check_refuses(house: House, tmp_path: Path) -> None:
    drop(house.root, "customers_20261101.csv", customers(range(1, 31), bad=[3]))
    assert house.run("customers").success
    wrong = house.edited(tmp_path / "wrong", "flows/customers", "region: FR", "region: Nowhere")
    replayed = wrong.run("navette_replay_rejects")
    assert not replayed.success
    assert "'Nowhere' is no country" in replayed.failure
