"""Trace: what happened to a key, from its first reject to its last change."""

from __future__ import annotations

from collections.abc import Callable
from getpass import getuser
from pathlib import Path

import pytest

from crm_store.store import Store
from mappings.errors import ConfigurationError
from mappings.language.project import Project
from pipelines.cli.traced import event_lines
from pipelines.ops.conflicts import settle_conflict
from pipelines.ops.reviews import reviews
from pipelines.ops.trace import trace
from pipelines.runs.settling import settle_row
from tests.acceptance.ops_desk import OpsDesk, customer, make_desk

pytestmark = pytest.mark.slow


@pytest.fixture
def desk(tmp_path: Path, new_store: Callable[[Project], Store]) -> OpsDesk:
    return make_desk(tmp_path, new_store)


def test_a_key_is_told_from_its_reject_to_its_last_change(desk: OpsDesk) -> None:
    first = desk.customers(customer("C42", "Petit", siret="123"))
    second = desk.customers(customer("C42", "Petit", PHONE="01 99 00 12 01"), day="20261121")
    desk.crm("UPDATE crm.company SET phone = '+33199001203'")
    desk.clients("7;Petit;59000")
    third = desk.customers(customer("C42", "Petit & fils", PHONE="01 99 00 12 02"), day="20261122")
    settle_conflict(desk.hub, reviews(desk.hub).conflicts[0].id, "theirs", "asked them")

    found = trace(desk.hub, "erp", "FR|C42")
    assert [(event.kind, event.run_id) for event in found.events if event.flow != "clients"] == [
        ("held", first.run_id), ("journal", second.run_id), ("linked", None), ("closed", second.run_id),
        ("journal", None), ("conflict", third.run_id), ("journal", third.run_id), ("settled", None),
        ("journal", third.run_id),
    ]
    (entry,) = found.entries
    assert (entry.key, entry.flow, entry.id_space, entry.entity, entry.differences) == (
        "FR|C42", "customers", "customers", "company", (),
    )
    assert [(other["system"], other["key"]) for other in found.elsewhere] == [("cmms", "7")]
    assert found.records[0]["values"]["name"] == "Petit & fils"
    assert {run["id"] for run in found.runs} >= {first.run_id, second.run_id, third.run_id}
    told = "\n".join(line for event in found.events for line in event_lines(event))
    assert "siret: '123' is not a valid SIRET" in told
    assert "phone: +33199001201 -> +33199001203" in told
    assert "decided on phone: +33199001202 stands" in told
    assert "∅" not in told


@pytest.mark.parametrize("create", [False, True])
def test_a_row_that_a_person_settled_is_told_with_who_did_and_what_it_is(desk: OpsDesk, create: bool) -> None:
    (record, _) = [row[0] for row in desk.crm(
        "INSERT INTO crm.company (name, postal_code) VALUES ('Petit', '35000'), ('PETIT', '35000') RETURNING id")]
    desk.clients("7;Petit;35000")
    (waiting,) = reviews(desk.hub).rows
    (settled,) = settle_row(desk.hub, waiting.row.id, link=None if create else record, create=create)
    what = "a new company" if create else f"company {record}"
    assert told_of(desk, "cmms", "7", "closed") == [
        f"clients run {settled.run_id}: row {waiting.row.id} was settled by {getuser()}: it is {what}"]


def test_a_row_that_was_admitted_again_was_closed_by_no_later_one(desk: OpsDesk) -> None:
    desk.drop("CON_FR.csv", "ID;NAME;EMAIL;CUSTOMER", "K1;Durand;;C1")
    desk.run("contacts")
    desk.customers(customer("C1"))
    assert desk.crm("SELECT last_name FROM crm.contact") == [("Durand",)]
    (line,) = told_of(desk, "erp", "K1", "closed")
    assert line.endswith("was admitted again, and taken in")


def test_a_conflict_of_a_first_meeting_is_not_told_as_two_changes(desk: OpsDesk) -> None:
    desk.crm("INSERT INTO crm.company (name, postal_code, phone) VALUES ('Petit', '59000', '+33199001203')")
    first = desk.customers(customer("C1", "Petit", PHONE="01 99 00 12 02"))
    met = (f"customers run {first.run_id}: each side brought a value of phone when they first met, +33199001203 here and"
           " +33199001202 there")
    assert told_of(desk, "erp", "FR|C1", "conflict") == [f"{met}; nobody has decided"]
    (conflict,) = reviews(desk.hub).conflicts
    assert not conflict.based
    assert "none: they first met" in Path(str(first.report)).read_text()
    settle_conflict(desk.hub, conflict.id, "theirs")
    assert told_of(desk, "erp", "FR|C1", "conflict") == [met]
    desk.crm("UPDATE crm.company SET phone = '+33199001204'")
    desk.customers(customer("C1", "Petit", PHONE="01 99 00 12 05"), day="20261121")
    assert "phone had changed on both sides" in told_of(desk, "erp", "FR|C1", "conflict")[1]
    assert reviews(desk.hub).conflicts[0].based


def told_of(desk: OpsDesk, system: str, key: str, kind: str) -> list[str]:
    """The first line of each event of this kind, without its time."""
    return [event_lines(event)[0][18:] for event in trace(desk.hub, system, key).events if event.kind == kind]


def test_one_part_of_a_composite_key_is_enough(desk: OpsDesk) -> None:
    desk.customers(customer("C1"), customer("C10"), branch="FR", full=False)
    desk.customers(customer("C1", "Belge"), branch="BE", full=False)
    assert trace(desk.hub, "erp", "C1").keys == ("BE|C1", "FR|C1")
    assert trace(desk.hub, "erp", "C10").keys == ("FR|C10",)


def test_where_record_and_system_differ_is_told_with_what_they_had_agreed_on(desk: OpsDesk) -> None:
    desk.customers(customer("C1", PHONE="01 99 00 12 01"))
    desk.crm("UPDATE crm.company SET phone = '+33199001203'")
    (entry,) = trace(desk.hub, "erp", "FR|C1").entries
    (difference,) = entry.differences
    assert (difference.column, difference.record, difference.base) == ("phone", "+33199001203", "+33199001201")


@pytest.mark.parametrize(("asked", "near"), [("FR|C0042", "FR|C00042"), ("c42", "FR|C00042"), ("C00043", "FR|C00042")])
def test_an_unknown_key_is_answered_with_those_near_it(desk: OpsDesk, asked: str, near: str) -> None:
    desk.customers(customer("C00042"), customer("X9"))
    with pytest.raises(ConfigurationError, match="erp has no key") as told:
        trace(desk.hub, "erp", asked)
    assert told.value.todo.startswith(f"near it: {near}")
    assert told.value.exit_code == 1


def test_an_unknown_system_is_answered_with_those_there_are(desk: OpsDesk) -> None:
    with pytest.raises(ConfigurationError, match="there is no system 'erq'; did you mean 'erp'"):
        trace(desk.hub, "erq", "C1")
