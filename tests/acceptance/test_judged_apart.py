"""More rows than a page are judged by a process of its own: the same verdicts and pages, and a clear end if it dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pandas as pd
import psutil
import pytest

from mappings.errors import ConfigurationError
from mappings.language.entities import Entity
from mappings.language.entity import FieldSpec
from mappings.language.flow import Into
from pipelines.stages.expectations.apart import Apart
from tests.road_desk import EMPTY, Road, roads, told

FLOWS = {
    "expecting": """
flow: expecting
system: erp
into:
  - entity: company
    key: CODE
    fields: {name: {from: NAME, required: true}, city: CITY}
    expect:
      - expect_column_values_to_not_be_in_set: {column: name, value_set: [NOBODY]}
      - expect_column_values_to_match_regex: {column: city, regex: "^[A-Z]"}
  - entity: contact
    name: people
    key: CODE
    fields: {last_name: NAME}
    expect: [{expect_column_value_lengths_to_be_between: {column: last_name, min_value: 7}}]
""",
}
LINES = ["CODE;NAME;CITY", *(f"{n};{'NOBODY' if n % 5 == 0 else f'Company {n}'};{'lille' if n % 7 == 0 else 'Lille'}"
                             for n in range(1, 31))]
ENTITY = Entity("company", "", (), (), {"name": FieldSpec()}, {}, {}, ())

module_road, road = roads(FLOWS)


@pytest.fixture
def apart(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Apart]]:
    """Pages of four rows; every process that judged."""
    made: list[Apart] = []
    real = Apart.__init__

    def kept(self: Apart, intos: Any) -> None:
        made.append(self)
        real(self, intos)

    monkeypatch.setattr("pipelines.stages.land.PAGE_ROWS", 4)
    monkeypatch.setattr(Apart, "__init__", kept)
    yield made
    assert all(judge._process.returncode is not None for judge in made)  # none outlives its run


def test_verdicts_and_pages_are_those_of_a_run_that_judges_by_itself(
        road: Road, apart: list[Apart], monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    for rows in (4, 1000):
        monkeypatch.setattr("pipelines.stages.land.PAGE_ROWS", rows)
        result = road.run("expecting", *LINES)
        docs = road.hub.home / "reports" / f"run_{result.run_id}_validation"
        pages = sorted(page.name for page in docs.iterdir())
        page = (docs / "company.html").read_text("utf-8")
        seen.append((told(result), told(result, "people"), road.held(), pages, page.count("Failed"), page.count("NOBODY")))
        road.superuser(EMPTY)
    assert len(apart) == 1
    assert seen[0] == seen[1]
    companies, people, _held, pages, failed, named = seen[0]
    assert (companies, people) == ({"created": 20, "rejected": 10}, {"created": 24, "rejected": 6})
    assert pages == ["company.html", "index.html", "people.html"]
    assert min(failed, named) > 0


def test_where_it_dies_the_run_says_so_and_nothing_was_applied(
        road: Road, apart: list[Apart], monkeypatch: pytest.MonkeyPatch) -> None:
    check = Apart.check

    def killed(self: Apart, number: int, values: Any) -> Any:
        self._process.kill()
        return check(self, number, values)

    with monkeypatch.context() as patch:
        patch.setattr(Apart, "check", killed)
        stopped = road.run("expecting", *LINES, name="day.csv", state="failed")
    assert "has ended (exit -9)" in (stopped.problem or {})["message"]
    assert (len(apart), road.companies("name"), road.staging()) == (1, [], [])
    assert told(road.run("expecting", *LINES, name="day.csv")) == {"created": 20, "rejected": 10}


def test_what_the_library_refuses_is_a_configuration_error_there_too() -> None:
    into = Into.model_validate({
        "entity": "company", "key": "id", "fields": {"name": "name"},
        "expect": [{"expect_column_value_lengths_to_equal": {"column": "name", "value": "many"}}],
    })
    judge = Apart([(into, ENTITY)])
    try:
        with pytest.raises(ConfigurationError, match="value is not a valid float"):
            judge.check(0, pd.DataFrame({"name": ["a"]}, dtype="string[pyarrow]")).result()
    finally:
        judge.close()


def test_it_ends_with_a_run_that_was_killed() -> None:
    code = ("import time; from pipelines.stages.expectations.apart import Apart; "
            "judge = Apart([]); print(judge._process.pid, flush=True); time.sleep(60)")
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        judge = psutil.Process(int(run.stdout.readline()))
        os.kill(run.pid, signal.SIGKILL)
        with suppress(psutil.NoSuchProcess):
            judge.wait(30)
    assert not judge.is_running()
