"""Ranked masters when one of them says nothing: it leaves the field to the next, and no run undoes another's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from crm_store.store import Store
from mappings.language.project import Project
from tests.road_desk import Road, roads

pytestmark = pytest.mark.slow

FIELDS = "{registration: REG, vat_number: {from: VAT, as: text}}"
INTO = f"{{entity: company, key: CODE, match: [registration], create: false, fields: {FIELDS}}}"
FLOWS = {system: f"flow: {system}\nsystem: {system}\ninto: {INTO}\n" for system in ("erp", "cmms")}
module_road, road = roads(FLOWS)


def read(road: Road, system: str, vat: str) -> str | None:
    road.run(system, "CODE;REG;VAT", f"{system};R1;{vat}")
    return road.one("SELECT vat_number FROM crm.company")


def test_a_first_master_that_says_nothing_undoes_nothing_that_the_next_one_says(road: Road) -> None:
    road.crm("INSERT INTO crm.company (registration, name) VALUES ('R1', 'Anvil')")
    assert read(road, "erp", "") is None
    assert read(road, "cmms", "from cmms") == "from cmms"
    before = road.journal()
    for _ in range(2):
        assert read(road, "erp", "") == "from cmms"
        assert read(road, "cmms", "from cmms") == "from cmms"
    assert road.journal() == before


def test_a_next_master_may_change_its_value_after_the_first_one_was_read_again(road: Road) -> None:
    road.crm("INSERT INTO crm.company (registration, name) VALUES ('R1', 'Anvil')")
    read(road, "cmms", "from cmms")
    read(road, "erp", "")
    assert read(road, "cmms", "newer cmms") == "newer cmms"
    assert read(road, "cmms", "") is None


def test_where_the_first_master_falls_silent_what_the_next_one_had_said_comes_in(road: Road) -> None:
    road.crm("INSERT INTO crm.company (registration, name) VALUES ('R1', 'Anvil')")
    read(road, "cmms", "from cmms")
    assert read(road, "erp", "from erp") == "from erp"
    assert read(road, "cmms", "newer cmms") == "from erp"
    assert read(road, "erp", "") == "newer cmms"
    before = road.journal()
    for _ in range(2):
        assert read(road, "erp", "") == "newer cmms"
        assert read(road, "cmms", "newer cmms") == "newer cmms"
    assert road.journal() == before
    assert read(road, "erp", "from erp again") == "from erp again"
    assert road.hub_sees("SELECT * FROM sync.conflict WHERE key = 'erp'") == []
    read(road, "erp", "")
    assert read(road, "cmms", "") is None
    assert read(road, "erp", "from erp again") == "from erp again"
    assert read(road, "erp", "") is None


def test_a_next_master_archives_nothing_that_the_first_one_keeps(
    write_project: Callable[..., Project], new_store: Callable[[Project], Store], tmp_path: Path
) -> None:
    fields = "{registration: REG, name: NAME}"
    into = f"{{entity: company, key: CODE, match: [registration], absent: archive, fields: {fields}}}"
    full = "flow: {0}\nsystem: {0}\nread: {{files: '*', full: true}}\ninto: {1}"
    project = write_project({
        "systems": "systems: {erp: {connector: file, folder: erp}, cmms: {connector: file, folder: cmms}}",
        "entities/company": "entity: company\nmasters: {archived: [erp, cmms], else: shared}",
        "flows/erp": full.format("erp", into.replace("NAME}", "NAME, archived: GONE}")),
        "flows/cmms": full.format("cmms", into),
    })
    road = Road(tmp_path, new_store(project), project)
    road.run("erp", "CODE;REG;NAME;GONE", "e1;R1;Anvil;no")
    rows = [f"c{number};R{number};{name}" for number, name in enumerate(["Anvil", "Bellows", "Chisel"], start=1)]
    assert road.counts("cmms", "CODE;REG;NAME", *rows) == {"created": 2, "unchanged": 1}
    assert road.counts("cmms", "CODE;REG;NAME", rows[2]) == {"unchanged": 1, "archived": 1, "unlinked": 1}
    assert road.hub_sees("SELECT name FROM crm.company WHERE archived_at IS NOT NULL") == [("Bellows",)]
