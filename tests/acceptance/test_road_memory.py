"""Memory is bounded by the page, not by the file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.road_desk import COMPANIES, Road, roads

FLOWS = {"companies": COMPANIES}
module_road, road = roads(FLOWS)
MEASURE = """
import sys
from dataclasses import replace
from pathlib import Path
from pipelines.hub import Hub
from pipelines.runs import applying
from pipelines.runs.executing import execute
from pipelines.runs.orders import Order
from pipelines.runs.sources import named, open_named
from pipelines.stages import land
from crm_store.entity_tables import compile_entities
from crm_store.store import Store
from mappings.language.project import require_project

root, home, database, file = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], Path(sys.argv[4])
land.PAGE_ROWS = applying.BATCH_ROWS = 5_000
project = require_project(root, {})
store = replace(Store.open(home), database=database)
hub = Hub(project, root / "home", store, compile_entities(project.entities))
flow = hub.flow("companies")
source = open_named(hub, flow, file, {})
result = execute(hub, Order(flow, source, str(file)))
assert result.state == "done", result.problem
assert result.rows_read == int(sys.argv[5]), result.rows_read
peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(peak.split()[1])
"""


def peak_kb(road: Road, rows: int, width: int = 300) -> int:
    """The most memory (kB) that the process of one run had."""
    file = road.write(f"companies_{rows}.csv", ["CODE;NAME;ZIP;NOTES"])
    with file.open("a", encoding="utf-8") as out:
        out.writelines(f"{number};Company {number};59000;{number:.<{width}}\n" for number in range(rows))
    given = [road.root, road.store.home, road.store.database, file, rows]
    command = [sys.executable, "-c", MEASURE, *map(str, given)]
    here = Path(__file__).parents[2]
    done = subprocess.run(command, capture_output=True, text=True, cwd=here, timeout=1800, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return int(done.stdout.split()[-1])


@pytest.mark.slow
def test_ten_times_the_rows_take_no_more_memory(road: Road) -> None:
    small = peak_kb(road, 30_000)
    large = peak_kb(road, 300_000)
    # A process of few pages never fills its threads' own pools: that is the margin. In proportion it would be ten times.
    assert large < small * 1.35, f"{small} kB for 30,000 rows, {large} kB for 300,000"


@pytest.mark.long
def test_millions_of_rows_take_what_one_million_takes_and_are_all_there(road: Road) -> None:
    small, large = peak_kb(road, 1_000_000, width=40), peak_kb(road, 3_000_000, width=40)
    assert large < small * 1.1, f"{small} kB for 1,000,000 rows, {large} kB for 3,000,000"
    ends = road.hub_sees("SELECT rows_read, created, unchanged FROM sync.run_into ORDER BY run_id")
    assert ends == [(1_000_000, 1_000_000, 0), (3_000_000, 2_000_000, 1_000_000)]
    [found] = road.hub_sees(
        "SELECT count(*), count(DISTINCT c.id), min(x.key::int), max(x.key::int), count(DISTINCT x.key)"
        " FROM sync.crosswalk_company x JOIN crm.company c ON c.id = x.record_id AND c.name = 'Company ' || x.key")
    assert found == (3_000_000, 3_000_000, 0, 2_999_999, 3_000_000)
