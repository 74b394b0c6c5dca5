"""A run that waited for a person is approved after its rows have changed: what came since stays."""

from __future__ import annotations

import pytest

from mappings.language.flow import Guard
from pipelines.runs.lock import flow_lock
from pipelines.runs.remote import read_remote
from pipelines.runs.settling import settle_run
from tests.memory_desk import FIELDS, Three, module_three, siret, three

pytestmark = pytest.mark.slow

__all__ = ["module_three", "three"]

ROWS = 25


@pytest.mark.parametrize("flow", ["shop", "erp"])
def test_what_was_read_and_written_since_stays(three: Three, flow: str) -> None:
    """`shop` has no versions; the rows of `erp` have order marks."""
    one = three.systems[flow]
    keys = [one.insert(name=f"Shop {number}", siret=siret(number), city="Lyon", email=f"{number}@example.org")
            for number in range(ROWS)]
    three.read(flow)
    for key in keys:
        one.edit(key, city="Metz")
    mapped = three.hub.flow(flow)
    with flow_lock(three.hub, flow):
        waits = read_remote(three.hub, mapped.model_copy(update={"guard": Guard(updates=0.1)}), full=False,
                            trigger="test", progress=lambda *_: None)
    assert waits.state == "review"
    one.edit(keys[0], city="Brest")
    three.crm("UPDATE crm.company SET email = 'new@example.org' WHERE siret IN (%s, %s)", siret(0), siret(1))
    pushed = three.push_again(flow)
    assert pushed is not None
    assert pushed.counts["updated"] == 2
    result = settle_run(three.hub, waits.run_id, approve=True)
    assert (result.total("superseded"), result.total("updated")) == (2, ROWS - 2)
    assert three.crm("SELECT city, email FROM crm.company WHERE siret IN (%s, %s) ORDER BY siret", siret(0), siret(1)) == [
        ("Brest", "new@example.org"), ("Metz", "new@example.org")]
    three.rest()
    assert three.differences() == []
    assert {row[FIELDS[flow]["city"]] for row in one.rows.values()} == {"Metz", "Brest"}
