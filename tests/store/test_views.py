"""What the CRM and a system say differently, and what waits, can be read field by field and row by row."""

from __future__ import annotations

import psycopg

from tests.store.conftest import Desk


def test_differences_are_shown_for_fields_that_have_a_base(desk: Desk) -> None:
    made = desk.company(name="Here", city="Lyon", phone="+331", credit_limit=5, credit_limit_currency="EUR")
    fields = ["archived", "city", "credit_limit", "name", "type"]
    base = desk.one("INSERT INTO sync.field_set (entity, fields) VALUES ('company', %s) RETURNING id", fields)
    desk.link(made, "accounting", b_name="Here", b_city="Paris", b_credit_limit=5, b_credit_limit_currency="USD",
              b_archived=True, b_type="prospect", base_set=base, remote=psycopg.types.json.Jsonb({"city": "PARIS"}))
    rows = desk.crm.execute(
        "SELECT field, ours, theirs, system, key FROM sync.difference WHERE record_id = %s ORDER BY field",
        [made]).fetchall()
    key = f"C{made}"
    assert rows == [
        ("archived", False, True, "accounting", key), ("city", "Lyon", "PARIS", "accounting", key),
        ("credit_limit", [5, "EUR"], [5, "USD"], "accounting", key)]


def test_rows_that_wait_are_shown_by_what_they_wait_for(desk: Desk) -> None:
    space = desk.one("INSERT INTO sync.id_space (system, name, entity) VALUES ('sage', 'held', 'company') RETURNING id")
    feed = desk.one("INSERT INTO sync.feed (flow, label, system, entity, id_space)"
                    " VALUES ('customers', 'company', 'sage', 'company', %s) RETURNING id", space)
    run = desk.one("INSERT INTO sync.run (flow, system, mapping) VALUES ('customers', 'sage', 'x') RETURNING id")
    for outcome, state in (("rejected", "open"), ("parked", "open"), ("review", "open"), ("rejected", "closed")):
        desk.hub.execute(
            "INSERT INTO sync.held (feed, outcome, state, identity, key, run_id, row_no, code, causes)"
            " VALUES (%s, %s, %s, %s, 'C1', %s, 7, 'required', '[]')", [feed, outcome, state, outcome + state, run])
    for view in ("reject", "parked", "review"):
        assert desk.crm.execute(f"SELECT flow, key, row_no, code FROM sync.{view}").fetchall() == [
            ("customers", "C1", 7, "required")]
