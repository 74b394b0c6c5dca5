"""Adopt: a system that is full already is linked, and whoever reads it next decides what differs."""

from __future__ import annotations

import pytest

from pipelines.ops.mending import unlink
from pipelines.ops.systems import preparations
from pipelines.runs.intake import adopt_flow
from pipelines.runs.reconcile import reconcile_flow
from tests.acceptance.test_live import eventually, living
from tests.both_ways_desk import SIRETS, Both, both

pytestmark = pytest.mark.slow

__all__ = ["both"]

BY_STAMP = "read: {resource: customer, changed_since: changed_at}"
BY_TABLE = "read: {resource: customer}"


def adopted(both: Both, *, tracked: bool) -> Both:
    """Four companies on both sides, of which two differ, and one that is only there; the CRM's are older than the flow."""
    desk = both.remade(("flows/erp", BY_STAMP, BY_TABLE))
    if tracked:
        assert all(one.done for one in preparations(desk.hub, "erp", run=True))
    for number, siret in enumerate(SIRETS):
        desk.erp("INSERT INTO customer (name, siret, email) VALUES (%s, %s, 'there@x.fr')", f"There {number}", siret)
    for number, siret in enumerate(SIRETS[:4]):
        desk.crm("INSERT INTO crm.company (name, siret, email, type) VALUES (%s, %s, %s, 'customer')",
                 f"There {number}", siret, "here@x.fr" if number < 2 else "there@x.fr")
    desk.sees("DELETE FROM sync.outbox")
    adopt_flow(desk.hub, "erp_companies")
    assert reconcile_flow(desk.hub, "erp_companies").totals == {"not_agreed": 2, "only_there": 1}
    return desk


def names_and_mails(desk: Both) -> list[tuple[str, str]]:
    return desk.crm("SELECT name, email FROM crm.company ORDER BY name")  # type: ignore[return-value]


ALL = [(f"There {number}", "there@x.fr") for number in range(5)]


@pytest.mark.parametrize("tracked", [True, False])
def test_the_run_behind_it_decides_what_differs(both: Both, tracked: bool) -> None:
    desk = adopted(both, tracked=tracked)
    assert desk.run("erp_companies").rows_read == 5
    assert (names_and_mails(desk), reconcile_flow(desk.hub, "erp_companies").totals) == (ALL, {})
    if tracked:
        assert desk.run("erp_companies").rows_read == 0


def test_a_flow_that_has_read_before_reads_everything_once_more(both: Both) -> None:
    desk = adopted(both, tracked=True)
    desk.run("erp_companies")
    unlink(desk.hub, "erp_companies", desk.erp.one("SELECT id::text FROM customer WHERE name = 'There 0'"))
    desk.crm("UPDATE crm.company SET email = 'here@x.fr' WHERE name = 'There 0'")
    desk.sees("DELETE FROM sync.outbox")
    adopt_flow(desk.hub, "erp_companies")
    assert reconcile_flow(desk.hub, "erp_companies").totals == {"not_agreed": 1}
    desk.run("erp_companies")
    assert (names_and_mails(desk), reconcile_flow(desk.hub, "erp_companies").totals) == (ALL, {})


def test_live_decides_what_differs(both: Both) -> None:
    desk = adopted(both, tracked=True)
    with living(desk):
        eventually(lambda: names_and_mails(desk), ALL)
    assert reconcile_flow(desk.hub, "erp_companies").totals == {}
