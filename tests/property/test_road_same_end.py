"""Any split of the rows into files and batches, any order of rows with distinct keys: the same end state."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from pipelines.runs import applying
from pipelines.runs.replay import retry_parked
from pipelines.stages import land
from tests.road_desk import EMPTY, Road, roads

Case = tuple[list[str], list[list[str]], int, int]  # rows, the files they are split into, page and batch sizes

FLOWS = {
    "parts": """
flow: parts
system: erp
into:
  - entity: company
    key: CODE
    match: [siret]
    fields:
      name: {from: NAME, required: true}
      siret: {from: SIRET, as: text}
      notes: NOTES
      parent: {from: GROUP, refers: {entity: company, ids: parts}}
  - entity: address
    owner: {entity: company, role: billing}
    key: CODE
    fields: {city: CITY}
guard: {rejects: null}
""",
}
module_road, road = roads(FLOWS)
HEAD = "CODE;NAME;SIRET;NOTES;GROUP;CITY"


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Rows with distinct keys in a plain order; the same shuffled and cut into files; sizes of page and batch."""
    count = draw(st.integers(2, 9))
    rows = []
    for number in range(count):
        name = draw(st.sampled_from([f"Name {number}", f"Name {number}", f"Name {number}", ""]))
        group = draw(st.sampled_from(["", "", *map(str, range(count)), "missing"]))
        known = draw(st.sampled_from(["", "known"])) if number == 0 else ""
        rows.append(f"{number};{name};{known};{draw(st.sampled_from(['', 'x']))};{group};Lille")
    shuffled = draw(st.permutations(rows))
    cuts = sorted(draw(st.sets(st.integers(1, count - 1), max_size=2)))
    files = [list(shuffled[low:high]) for low, high in zip([0, *cuts], [*cuts, count], strict=True)]
    return rows, files, draw(st.integers(1, 4)), draw(st.integers(1, 4))


def end_state(road: Road, files: list[list[str]], page: int, batch: int) -> Any:
    road.superuser(EMPTY)
    road.crm("INSERT INTO crm.company (name, siret, city) VALUES ('Known', 'known', 'Paris')")
    with patch.object(land, "PAGE_ROWS", page), patch.object(applying, "BATCH_ROWS", batch):
        for lines in files:
            road.run("parts", HEAD, *lines)
        retry_parked(road.hub)
    keys = "LEFT JOIN sync.crosswalk_company {0} ON {0}.record_id = {1}"
    return {
        "companies": road.hub_sees(
            "SELECT x.key, c.name, c.siret, c.notes, c.city, p.key, x.b_name, x.b_notes, x.remote FROM crm.company c "
            + keys.format("x", "c.id") + " " + keys.format("p", "c.parent") + " ORDER BY 1"),
        "addresses": road.hub_sees(
            "SELECT a.key, r.city, r.role, o.key FROM sync.crosswalk_address a"
            " JOIN crm.address r ON r.id = a.record_id " + keys.format("o", "r.company") + " ORDER BY 1"),
        "held": road.hub_sees(
            "SELECT f.label, h.key, h.outcome, h.code FROM sync.held h JOIN sync.feed f ON f.id = h.feed"
            " WHERE h.state = 'open' ORDER BY 1, 2"),
    }


RING = ["1;Name 1;;;8;Lille", "2;Name 2;;;1;Lille", "8;Name 8;;;1;Lille"]


QUICK = settings(max_examples=3, deadline=None, database=None,
                 phases=[Phase.explicit, Phase.generate],  # shrinking takes minutes, and the cases are small as they are
                 suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@QUICK
@example((RING, [RING[:1], RING[1:2], RING[2:]], 2, 1))
@given(cases())
def test_any_files_any_batches_any_order_end_the_same(road: Road, case: Case) -> None:
    ends_the_same(road, case)


@pytest.mark.long
@settings(QUICK, max_examples=60)
@given(cases())
def test_any_files_any_batches_any_order_end_the_same_at_length(road: Road, case: Case) -> None:
    ends_the_same(road, case)


def ends_the_same(road: Road, case: Case) -> None:
    rows, files, page, batch = case
    assert end_state(road, files, page, batch) == end_state(road, [rows], 50_000, 25_000)
