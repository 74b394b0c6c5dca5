"""A lead becomes a company: its ids, events and attachments come along, and its history reads through."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from tests.store.conftest import Desk


def lead(desk: Desk, **values: object) -> int:
    names = ", ".join(values)
    row = desk.crm.execute(
        f"INSERT INTO crm.lead ({names}) VALUES ({', '.join(['%s'] * len(values))}) RETURNING id",
        list(values.values()),
    ).fetchone()
    return int(row[0])


def converted(desk: Desk, of: int, into: int | None = None) -> int:
    row = desk.crm.execute("SELECT crm.convert_lead(%s, %s)", [of, into]).fetchone()
    return int(row[0])


def test_a_new_company_gets_what_both_have_in_common(desk: Desk) -> None:
    made = lead(desk, company_name="Ascenseurs Hervé", last_name="Hervé", siret="1", email="a@b.example", city="Lyon",
                notes="met at the fair", status="qualified")
    company = converted(desk, made)
    row = desk.hub.execute("SELECT name, type, siret, email, city, notes, status FROM crm.company WHERE id = %s",
                           [company]).fetchone()
    assert row == ("Ascenseurs Hervé", "prospect", "1", "a@b.example", "Lyon", "met at the fair", None)
    row = desk.hub.execute("SELECT company, status, archived_at IS NOT NULL, last_name FROM crm.lead WHERE id = %s",
                           [made]).fetchone()
    assert row == (company, "converted", True, "Hervé")


def test_an_existing_company_is_linked_and_left_as_it_is(desk: Desk) -> None:
    company = desk.company(name="Known", city="Nice")
    assert converted(desk, lead(desk, company_name="Other spelling", city="Lyon"), company) == company
    assert desk.one("SELECT (name, city)::text FROM crm.company WHERE id = %s", company) == "(Known,Nice)"


def test_events_attachments_and_addresses_hang_on_the_company_too_unless_on_another(desk: Desk) -> None:
    made, other = lead(desk, name="L"), desk.company(name="Other")
    kept: dict[str, Any] = {}
    for entity in ("event", "attachment", "address", "operation"):
        child = desk.crm.execute(f"INSERT INTO crm.{entity} (lead) VALUES (%s) RETURNING id", [made])
        kept[entity] = child.fetchone()[0]
    elsewhere = desk.crm.execute(
        "INSERT INTO crm.event (lead, company) VALUES (%s, %s) RETURNING id", [made, other]).fetchone()[0]
    company = converted(desk, made)
    for entity, child in kept.items():
        assert desk.one(f"SELECT ARRAY[company, lead] FROM crm.{entity} WHERE id = %s", child) == [company, made]
    assert desk.one("SELECT company FROM crm.event WHERE id = %s", elsewhere) == other


def test_the_company_is_known_by_the_lead_s_ids_and_the_lead_stays_known_too(desk: Desk) -> None:
    made = lead(desk, name="L")
    desk.link(made, "sage", "lead", b_name="L")
    company = converted(desk, made)
    row = desk.hub.execute(
        "SELECT s.system, s.name, c.key, c.is_primary, c.feed FROM sync.crosswalk_company c"
        " JOIN sync.id_space s ON s.id = c.id_space AND s.entity = 'company' WHERE c.record_id = %s",
        [company]).fetchone()
    assert row == ("sage", "accounts", f"C{made}", False, 0)
    assert desk.one("SELECT count(*) FROM sync.crosswalk_lead WHERE record_id = %s", made) == 1


def test_the_history_of_the_company_begins_with_the_lead_s(desk: Desk) -> None:
    made = lead(desk, name="Early")
    desk.crm.execute("UPDATE crm.lead SET city = 'Lyon' WHERE id = %s", [made])
    company = converted(desk, made)
    desk.crm.execute("UPDATE crm.company SET type = 'customer' WHERE id = %s", [company])
    told = desk.crm.execute("SELECT of_record, op, author FROM sync.history(%s)", [company]).fetchall()
    assert [line[:2] for line in told] == [
        (made, "create"), (made, "update"), (company, "create"), (made, "update"), (company, "update")]
    assert {line[2] for line in told} == {"navette_app"}


def test_converting_again_or_at_the_same_moment_gives_the_same_company(desk: Desk) -> None:
    """Two users press the button at once: the second waits for the first, and gets its company."""
    made = lead(desk, name="Wanted twice")
    with psycopg.connect(desk.store.crm_url) as first, psycopg.connect(desk.store.crm_url) as second:
        company = first.execute("SELECT crm.convert_lead(%s)", [made]).fetchone()[0]
        with second.pipeline():
            waiting = second.execute("SELECT crm.convert_lead(%s)", [made])
            assert any(desk.one("SELECT cardinality(pg_blocking_pids(%s)) > 0", second.info.backend_pid)
                       for _ in range(1000))
            first.commit()
            assert waiting.fetchone() == (company,)
    assert converted(desk, made) == company
    assert desk.one("SELECT count(*) FROM crm.company WHERE name = 'Wanted twice'") == 1


def test_what_is_not_there_is_told(desk: Desk) -> None:
    with pytest.raises(psycopg.errors.NoDataFound, match="there is no lead 987654321"):
        converted(desk, 987654321)
    with pytest.raises(psycopg.errors.NoDataFound, match="there is no company 987654321"):
        converted(desk, lead(desk, name="L"), 987654321)
    with pytest.raises(psycopg.errors.NotNullViolation):
        converted(desk, lead(desk, city="nameless"))
