"""Values that the mapping cannot read back, and rows that no run can take in: what is edited meanwhile is not lost."""

from __future__ import annotations

import pytest

from pipelines.runs.preview import preview_flow
from pipelines.runs.reconcile import reconcile_flow
from tests.acceptance.test_both_ways import filled
from tests.both_ways_desk import SIRETS, Both, both

pytestmark = pytest.mark.slow

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


def test_a_row_that_was_spoilt_by_our_own_write_hides_no_later_edit(both: Both) -> None:
    """Databases compare: what is sent follows from the base, unless something that was sent was never read back."""
    filled(both, 1)
    both.erp("""CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN new.phone := 'unknown'; RETURN new; END $$;
        CREATE TRIGGER spoil BEFORE UPDATE ON customer FOR EACH ROW EXECUTE FUNCTION spoil()""")
    both.crm("UPDATE crm.company SET website = 'https://one.example'")
    assert both.push("erp_companies").counts["updated"] == 1
    assert both.one("SELECT code FROM sync.held WHERE state = 'open'") == "not_phone"
    both.crm("UPDATE crm.company SET website = 'https://two.example', email = 'a@example.org'")
    result = both.push("erp_companies")
    assert (result.counts["updated"], result.counts["unchanged"]) == (1, 0)
    assert both.erp("SELECT website, email FROM customer") == [("https://two.example", "a@example.org")]
    both.crm("UPDATE crm.company SET phone = '+33141000077', email = NULL")
    both.erp("DROP TRIGGER spoil ON customer")
    result = both.push("erp_companies")
    assert (result.counts["updated"], result.counts["waiting"]) == (1, 1)
    assert why(both) == [("waiting", "unread_there", "phone")]
    assert both.erp("SELECT phone, email FROM customer") == [("unknown", None)]
    both.sees("DELETE FROM sync.outbox")
    assert reconcile_flow(both.hub, "erp_companies", repair=True).totals == {"held": 1}
    assert both.outbox() == [("waiting", "")]
    assert both.push("erp_companies").counts["waiting"] == 1
    both.erp("UPDATE customer SET phone = '+33141000001'")
    both.run("erp_companies")
    both.sees("UPDATE sync.outbox SET due_at = now()")
    both.push("erp_companies")
    assert both.erp("SELECT phone, email FROM customer") == [("+33141000077", None)]
    assert why(both) == []
