"""A file whose content comes again: it is set aside and told, and read under a mapping that changed where somebody asks."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from crm_store.store import Store
from mappings.errors import ConfigurationError
from mappings.language.project import Project, require_project
from pipelines.cli import main
from pipelines.runs.intake import rebase_flow, run_flow
from pipelines.runs.preview import preview_flow
from tests.acceptance.ops_desk import HEADER, OpsDesk, customer, make_desk


@pytest.fixture
def desk(tmp_path: Path, new_store: Callable[[Project], Store]) -> OpsDesk:
    return make_desk(tmp_path, new_store)


def changed(desk: OpsDesk) -> OpsDesk:
    path = desk.root / "mappings/flows/customers.yaml"
    path.write_text(path.read_text().replace("notes: NOTES", "notes: TAGS"))
    return OpsDesk(desk.root, desk.store, require_project(desk.root, {}))


def dropped_again(desk: OpsDesk) -> str:
    """What is told of the file when it is dropped again."""
    told: list[str] = []
    path = desk.drop("CLI_FR_20261120.csv", HEADER, customer("C1", TAGS="red"))
    assert desk.run("customers", tell=told.append) == []
    assert not path.exists()
    (sentence,) = told
    return sentence


def test_a_file_that_comes_again_is_told_with_what_reads_it_under_another_mapping(desk: OpsDesk) -> None:
    first = desk.customers(customer("C1", TAGS="red"))
    same = dropped_again(desk)
    assert same.startswith(f"CLI_FR_20261120.csv holds what run {first.run_id} read last; it was not read again, and lies")
    assert "mapping" not in same
    later = changed(desk)
    words = shlex.split(dropped_again(later).partition("The mapping has changed since: navette run ")[2])
    assert words[:2] == ["customers", "--file"]
    lies = Path(words[2])
    assert lies.parent == desk.root / "drop/erp/done"
    assert preview_flow(later.hub, "customers", file=lies).result.into["company"]["updated"] == 1
    (read,) = later.run("customers", file=lies)
    assert (read.into["company"]["updated"], read.into["company"]["archived"]) == (1, 0)
    assert desk.crm("SELECT notes FROM crm.company") == [("red",)]
    assert "mapping" not in dropped_again(later)


def test_the_command_tells_what_it_did_not_read(
    desk: OpsDesk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.customers(customer("C1"))
    later = changed(desk)
    monkeypatch.setattr("pipelines.hub.open_hub", lambda root: later.hub)

    def navette(*words: str) -> str:
        desk.drop("CLI_FR_20261120.csv", HEADER, customer("C1"))
        monkeypatch.setattr("sys.argv", ["navette", "--project", str(desk.root), *words])
        with pytest.raises(SystemExit) as ended:
            main()
        assert not ended.value.code
        return capsys.readouterr().out

    for words in (["run", "customers"], ["run", "--all"]):
        said = navette(*words)
        assert "no new file waits, nothing to do" in said
        assert "The mapping has changed since: navette run customers --file" in said
        (notice,) = json.loads(navette(*words, "--json"))["notices"]
        assert "The mapping has changed since" in notice


def test_a_flow_that_reads_files_is_not_rebased_and_says_what_does_it(desk: OpsDesk) -> None:
    with pytest.raises(ConfigurationError) as told:
        rebase_flow(desk.hub, "customers")
    assert told.value.todo == (
        "navette run customers --file FILE reads a file under the mapping as it is now; those that were read before lie"
        " in done/ below the drop folder"
    )


def test_a_file_that_took_the_place_of_the_one_that_was_read_waits_for_the_next_run(desk: OpsDesk) -> None:
    path = desk.drop("CLI_FR_20261120.csv", HEADER, customer("C1"), customer("C2"))
    steps: list[str] = []

    def replaced(step: str, _: int) -> None:
        steps.append(step)
        if step == "applying" and steps.count(step) == 1:
            other = path.with_name(".next")
            other.write_text("\r\n".join([HEADER, customer("C1"), customer("C2"), customer("C3")]))
            other.replace(path)

    desk.run("customers", progress=replaced)
    assert "applying" in steps
    assert path.exists()
    assert [result.into["company"]["created"] for result in desk.run("customers")] == [1]
    assert not path.exists()


def test_a_file_that_the_store_could_not_take_in_waits_for_a_store_that_can(desk: OpsDesk) -> None:
    desk.customers(customer("C1"))
    path = desk.drop("CLI_FR_20261121.csv", HEADER, customer("C1"), customer("C2"))
    desk.drop("CLI_FR_20261122.csv", HEADER, customer("C1"), customer("C3"))
    role = desk.store.roles.hub

    def allowed(change: str) -> None:
        with desk.store.owner().begin() as connection:
            connection.execute(text(f'{change} "{role}"'))

    allowed("REVOKE INSERT ON crm.company FROM")
    (failed,) = run_flow(desk.hub, "customers")
    assert failed.state == "failed"
    assert "lacks a right" in str(failed.problem)
    assert path.exists()
    allowed("GRANT INSERT ON crm.company TO")
    done = desk.run("customers")
    assert [(Path(result.source).name, result.into["company"]["created"]) for result in done] == [
        ("CLI_FR_20261121.csv", 1), ("CLI_FR_20261122.csv", 1)]
    assert not path.exists()
