"""Values that the mapping cannot read back, and rows that no run can take in: what is edited meanwhile is not lost."""

from __future__ import annotations

from pipelines.runs.preview import preview_flow
from tests.acceptance.test_both_ways import filled
from tests.both_ways_desk import SIRETS, Both, both

__all__ = ["both"]


def why(both: Both) -> list[tuple[str, str, str]]:
    """(state, code, field) of every marker of the ERP's flow."""
    return both.sees("SELECT o.state, o.why->>'code', o.why->>'field' FROM sync.outbox o JOIN sync.feed f ON f.id = o.feed"  # type: ignore[return-value]
                     " WHERE f.system = 'erp' ORDER BY o.record_id")


def test_what_could_not_be_read_back_is_refused_before_it_is_sent(both: Both) -> None:
    filled(both, 1)
    both.crm("UPDATE crm.company SET phone = '12', website = 'https://one.example'")
    both.crm("INSERT INTO crm.company (name, type, phone) VALUES ('New', 'customer', '34')")
    before = both.erp("SELECT * FROM customer")
    assert all("not a valid phone number" in one["problem"] for one in preview_flow(both.hub, "erp_companies").sends)
    result = both.push("erp_companies")
    assert (result.counts["refused"], result.counts["created"], result.counts["updated"]) == (2, 0, 0)
    assert why(both) == [("refused", "not_phone", "phone")] * 2
    assert both.one("SELECT why->>'value' FROM sync.outbox WHERE state = 'refused' ORDER BY record_id LIMIT 1") == "12"
    assert both.erp("SELECT * FROM customer") == before
    both.crm("UPDATE crm.company SET phone = '+33141000077'")
    result = both.push("erp_companies")
    assert (result.counts["created"], result.counts["updated"]) == (1, 1)
    assert both.erp("SELECT DISTINCT phone FROM customer") == [("+33141000077",)]
    assert both.erp.one("SELECT website FROM customer WHERE siret = %s", SIRETS[0]) == "https://one.example"
