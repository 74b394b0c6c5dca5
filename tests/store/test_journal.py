"""The journal tells every change by every writer, and from it who set each field last."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import psutil

from tests.store.conftest import Desk


def journal(desk: Desk, record_id: int) -> list[tuple[Any, ...]]:
    return desk.hub.execute(
        "SELECT op, author, system, run_id, old, new FROM sync.journal WHERE record_id = %s ORDER BY id", [record_id]
    ).fetchall()


def history(desk: Desk, record_id: int) -> list[tuple[Any, ...]]:
    return desk.crm.execute("SELECT op, of_record, old, new FROM sync.history(%s)", [record_id]).fetchall()


def test_a_change_is_told_with_the_old_and_new_values_of_what_changed(desk: Desk) -> None:
    made = desk.company(name="Été", credit_limit=Decimal("10.50"), opened_on=date(2026, 1, 2))
    desk.crm.execute(
        "UPDATE crm.company SET name = 'Hiver \"&\\', city = 'Lyon', opened_on = NULL, credit_limit = 10.5,"
        " tags = '{red}' WHERE id = %s", [made])
    assert journal(desk, made)[1] == (
        "update", "navette_app", None, None,
        {"name": "Été", "city": None, "opened_on": "2026-01-02", "tags": None},
        {"name": 'Hiver "&\\', "city": "Lyon", "opened_on": None, "tags": ["red"]},
    )


def test_nothing_is_told_where_nothing_changed(desk: Desk) -> None:
    made = desk.company(name="Same", credit_limit=1)
    before = desk.one("SELECT (version, updated_at)::text FROM crm.company WHERE id = %s", made)
    desk.crm.execute("UPDATE crm.company SET name = 'Same', credit_limit = 1.00 WHERE id = %s", [made])
    assert len(journal(desk, made)) == 1
    assert desk.one("SELECT (version, updated_at)::text FROM crm.company WHERE id = %s", made) == before


def test_a_set_in_another_order_is_no_change(desk: Desk) -> None:
    made = desk.company(name="Set", tags=["blue", "red"])
    for tags, version in (("{red,blue,red}", 1), ("{blue}", 2), ("{blue,blue}", 2)):
        desk.crm.execute("UPDATE crm.company SET tags = %s WHERE id = %s", [tags, made])
        assert desk.one("SELECT version FROM crm.company WHERE id = %s", made) == version


def test_the_values_a_record_was_made_with_can_be_read_after_any_change(desk: Desk) -> None:
    made = desk.company(name="First", city="Lyon", is_customer=True)
    for name, city in (("Second", "Lyon"), ("Third", None), ("Fourth", "Paris")):
        desk.crm.execute("UPDATE crm.company SET name = %s, city = %s WHERE id = %s", [name, city, made])
    told = history(desk, made)
    assert [line[0] for line in told] == ["create", "update", "update", "update"]
    assert told[0][3] == {"name": "First", "city": "Lyon", "is_customer": True, "type": "prospect"}
    assert [line[3]["name"] for line in told] == ["First", "Second", "Third", "Fourth"]


def test_system_and_run_are_believed_from_the_hub_alone(desk: Desk) -> None:
    for writer in (desk.crm, desk.hub):
        writer.execute("SET navette.system = 'sage'")
        writer.execute("SET navette.run = '12'")
    made = desk.company(name="By a user")
    desk.hub.execute("UPDATE crm.company SET city = 'Lyon' WHERE id = %s", [made])
    desk.hub.execute("RESET navette.system")
    desk.hub.execute("SET navette.run = ''")
    desk.hub.execute("UPDATE crm.company SET city = 'Nice' WHERE id = %s", [made])
    assert [line[:4] for line in journal(desk, made)] == [
        ("create", "navette_app", None, None), ("update", "navette_hub", "sage", 12),
        ("update", "navette_hub", None, None)]


def test_the_last_author_of_every_field_can_be_told(desk: Desk) -> None:
    made = desk.company(name="A", city="B")
    desk.hub.execute("SET navette.system = 'sage'")
    desk.hub.execute("UPDATE crm.company SET name = 'C', phone = '+33' WHERE id = %s", [made])
    desk.hub.execute("RESET navette.system")
    desk.crm.execute("UPDATE crm.company SET phone = '+44' WHERE id = %s", [made])
    rows = desk.crm.execute(
        "SELECT field, coalesce(system, author) FROM sync.field_author WHERE record_id = %s", [made]).fetchall()
    authors = dict(rows)
    assert {name: authors[name] for name in ("name", "city", "phone", "email")} == {
        "name": "sage", "city": "navette_app", "phone": "navette_app", "email": "navette_app"}
    assert len(rows) == desk.one("SELECT count(*) FROM sync.record_column WHERE entity = 'company'")


def test_asking_for_one_record_s_authors_reads_no_other_s_journal(desk: Desk) -> None:
    desk.hub.execute("INSERT INTO crm.contact (last_name) SELECT i::text FROM generate_series(1, 20000) i")
    made = desk.company(name="One")
    desk.store.owner().dispose()
    plan = "\n".join(row[0] for row in desk.hub.execute(
        f"EXPLAIN (ANALYZE, TIMING OFF) SELECT * FROM sync.field_author WHERE record_id = {made}"))
    assert "journal_record" in plan
    assert "Seq Scan on journal" not in plan


def test_insert_or_update_and_merge_are_told_as_what_they_did(desk: Desk) -> None:
    made = desk.company(name="Merged", siret="1")
    desk.crm.execute(
        "MERGE INTO crm.company c USING (VALUES ('1', 'A'), ('2', 'B')) AS v(siret, city) ON c.siret = v.siret"
        " WHEN MATCHED THEN UPDATE SET city = v.city"
        " WHEN NOT MATCHED THEN INSERT (name, siret) VALUES ('New', v.siret)")
    other = desk.one("SELECT id FROM crm.company WHERE siret = '2'")
    assert [line[0] for line in journal(desk, made)] == ["create", "update"]
    assert [line[0] for line in journal(desk, other)] == ["create"]
    desk.hub.execute(
        "INSERT INTO crm.company (id, name) VALUES (%s, 'x') ON CONFLICT (id) DO UPDATE SET city = excluded.name",
        [made])
    assert journal(desk, made)[-1][-2:] == ({"city": "A"}, {"city": "x"})


def test_archiving_and_coming_back_keep_everything(desk: Desk) -> None:
    made = desk.company(name="Sleeper", city="Lyon")
    desk.link(made, "accounting")
    child = desk.crm.execute(
        "INSERT INTO crm.contact (last_name, company) VALUES ('X', %s) RETURNING id", [made]).fetchone()
    desk.crm.execute("UPDATE crm.company SET archived_at = now() WHERE id = %s", [made])
    assert "archived_at" in journal(desk, made)[-1][-1]
    desk.crm.execute("UPDATE crm.company SET archived_at = NULL WHERE id = %s", [made])
    assert desk.one("SELECT city FROM crm.company WHERE id = %s AND archived_at IS NULL", made) == "Lyon"
    assert desk.one("SELECT company FROM crm.contact WHERE id = %s", child[0]) == made
    assert desk.one("SELECT count(*) FROM sync.crosswalk_company WHERE record_id = %s", made) == 1


def test_a_prospect_becomes_a_customer_by_its_type_with_its_history(desk: Desk) -> None:
    made = desk.company(name="Growing")
    desk.crm.execute("UPDATE crm.company SET type = 'customer' WHERE id = %s", [made])
    assert history(desk, made)[-1][2:] == ({"type": "prospect"}, {"type": "customer"})


def test_ids_and_times_of_making_never_change(desk: Desk) -> None:
    made = desk.company(name="Fixed")
    before = desk.one("SELECT created_at FROM crm.company WHERE id = %s", made)
    with desk.store.owner().begin() as owner:  # the hub and the CRM may not even try
        owner.exec_driver_sql(f"UPDATE crm.company SET created_at = '2000-01-01', version = 99 WHERE id = {made}")
    row = desk.hub.execute("SELECT created_at, version FROM crm.company WHERE id = %s", [made]).fetchone()
    assert row == (before, 2)


def test_single_edits_and_then_a_batch_in_one_session_stay_proportional(desk: Desk) -> None:
    """A plan kept from single edits would compare each old row of the batch with each new one: 20,000 times 20,000.

    Work is counted, not time: rows that the journal's and the lock's joins looked at, as the server counts them.
    """
    desk.hub.execute("INSERT INTO crm.product (sku, name) SELECT i::text, 'p' FROM generate_series(1, 20000) i")
    ids = [row[0] for row in desk.hub.execute("SELECT id FROM crm.product ORDER BY id LIMIT 200")]
    with desk.store.connect(desk.store.roles.app, autocommit=True) as session:
        session.execute("SET statement_timeout = '300s'")
        for number in ids:
            session.execute("UPDATE crm.product SET name = 'q' WHERE id = %s", [number])
        spent = _cpu(session, "UPDATE crm.product SET name = name || 'r'")
    with desk.store.connect(desk.store.roles.app, autocommit=True) as session:
        fresh = _cpu(session, "UPDATE crm.product SET name = name || 's'")
    assert desk.one("SELECT count(*) FROM sync.journal WHERE entity = 'product' AND op = 'update'") == 40_200
    assert spent < 6 * fresh + 2  # each with each takes a hundred times as long


def _cpu(session: Any, statement: str) -> float:
    """Seconds of processor time that the session's own server process spends on `statement`."""
    process = psutil.Process(session.info.backend_pid)
    before = sum(process.cpu_times()[:2])
    session.execute(statement)
    return float(sum(process.cpu_times()[:2]) - before)
