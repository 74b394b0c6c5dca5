"""A system that masters `archived`: what of a record's marker is left when a full read no longer has its row."""

from __future__ import annotations

import pytest

from tests.acceptance.test_both_ways import filled
from tests.both_ways_desk import Both, both

pytestmark = pytest.mark.slow

__all__ = ["both"]


def test_a_record_that_a_run_archives_leaves_no_marker_that_its_row_is_gone(both: Both) -> None:
    desk = both.remade(("entities/company", "archived: crm", "archived: erp"),
                       ("flows/erp", "absent: ignore", "absent: archive"))
    filled(desk)
    desk.sees("DELETE FROM sync.outbox")
    desk.crm("UPDATE crm.company SET website = 'https://one.example' WHERE name = 'Company 1'")
    desk.erp("DELETE FROM customer WHERE name = 'Company 1'")
    desk.push("erp_companies")
    assert desk.outbox() == [("refused", "gone_there")]
    assert desk.run("erp_companies", full=True).into["company"]["archived"] == 1
    assert desk.outbox() == []
