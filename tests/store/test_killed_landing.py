"""A process that is killed while it lands leaves nothing that stops the next one."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from tests.road_desk import Road, roads

COMPANIES = """
flow: companies
system: erp
into:
  entity: company
  key: CODE
  fields: {name: NAME}
  expect: [{expect_table_row_count_to_be_between: {min_value: 1}}]
"""
module_road, road = roads({"companies": COMPANIES})
DIES = """
import os, signal, sys
from dataclasses import replace
from pathlib import Path
from crm_store.entity_tables import compile_entities
from crm_store.store import Store
from mappings.language.project import require_project
from pipelines.hub import Hub
from pipelines.runs.intake import run_flow
from pipelines.stages.expect import RunExpectations

RunExpectations.check = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
root, home, url, database, file = sys.argv[1:]
project = require_project(Path(root), {})
store = replace(Store.open(Path(home), url or None), database=database)
run_flow(Hub(project, Path(root) / "home", store, compile_entities(project.entities)), "companies", file=Path(file))
"""


def test_a_run_killed_while_it_asks_of_the_whole_is_cleared_away(road: Road) -> None:
    path, store = road.write("one.csv", ["CODE;NAME", "A;Alpha"]), road.store
    url = store.url.render_as_string(hide_password=False) if store.url is not None else ""
    killed = subprocess.run(
        [sys.executable, "-c", DIES, str(road.root), str(store.home), url, store.database, str(path)],
        cwd=Path(__file__).parents[2], check=False, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    assert any(name.endswith("_rows") for name in road.staging())
    assert road.counts("companies", "CODE;NAME", "A;Alpha") == {"created": 1}
    assert road.staging() == []
    assert road.one("SELECT count(*) FROM pg_views WHERE schemaname = 'staging'") == 0
