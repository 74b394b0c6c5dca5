"""What is Tryton's own: its types and links, its warnings, its logins, its sessions."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest

from connectors.remote import NOT_ABLE, Change, LoginRefused, Receipt, Remote, Resource
from connectors.tryton.answer import Refused
from connectors.tryton.open import TrytonRemote, open_tryton
from connectors.tryton.session import Session
from demo.tryton_server import TrytonServer
from mappings.errors import ConfigurationError
from tests.contract.remote_suite import end_of, only

pytestmark = pytest.mark.timeout(900)  # the first on a machine sets Tryton up

PARTY = Resource("party.party", ("id",), ("id", "code", "name", "active"), version="_timestamp")
ADDRESS = Resource("party.address", ("id",), ("id", "party", "street_unstructured", "country.code"))
CATEGORY = Resource("product.category", ("id",), ("id", "name", "parent"))


@pytest.fixture
def remote(tryton: TrytonServer) -> Iterator[TrytonRemote]:
    remote = open_tryton(tryton.settings())
    yield remote
    remote.close()


def made(remote: Remote, resource: Resource, *rows: dict[str, str]) -> list[tuple[str, ...]]:
    receipts = remote.write(resource, [Change("create", None, row) for row in rows])
    assert [receipt.state for receipt in receipts] == ["delivered"] * len(rows), receipts
    return [receipt.key for receipt in receipts if receipt.key]


def in_database(server: TrytonServer, statement: str, *values: object) -> list[Any]:
    with closing(sqlite3.connect(server.database_file, timeout=30)) as database, database:
        return database.execute(statement, values).fetchall()


# types, links, sets

def test_every_type_goes_there_and_back(remote: TrytonRemote, others: Session) -> None:
    product = Resource("product.template", ("id",), ("id", "name", "type", "list_price", "cost_price", "default_uom",
                                                     "default_uom.name", "categories", "active"))
    [unit] = others.read("model.product.uom.search", [["name", "=", "Unit"]], 0, 1, None)
    categories = made(remote, CATEGORY, {"name": "a"}, {"name": "b"}, {"name": "c"})
    both = json.dumps([int(key[0]) for key in categories[:2]])
    [key] = made(remote, product, {"name": "Filtre", "type": "goods", "list_price": "1234567.8901", "default_uom": str(unit),
                                   "categories": both})
    row = only(remote.fetch(product, [key]))
    assert (row["list_price"], row["type"], row["default_uom"], row["default_uom.name"], row["active"]) == (
        "1234567.8901", "goods", str(unit), "Unit", "true")
    assert json.loads(row["categories"]) == json.loads(both)
    one = json.dumps([int(categories[2][0])])
    [receipt] = remote.write(product, [Change("update", key, {"categories": one, "active": "false"})])
    assert receipt.state == "delivered"
    row = only(remote.fetch(product, [key]))
    assert (json.loads(row["categories"]), row["active"]) == (json.loads(one), "false")
    assert len(remote.fetch(CATEGORY, categories)) == 3, "what is no longer linked is not deleted"


def test_hours_dates_and_bytes(remote: TrytonRemote, others: Session) -> None:
    [party] = made(remote, PARTY, {"name": "Solène Quéré"})
    employee = Resource("company.employee", ("id",), ("id", "party", "party.name", "company", "start_date"))
    [worker] = made(remote, employee, {"party": party[0], "start_date": "2024-02-29"})
    row = only(remote.fetch(employee, [worker]))
    assert (row["party.name"], row["start_date"]) == ("Solène Quéré", "2024-02-29")
    work = Resource("timesheet.work", ("id",), ("id", "name"))
    [task] = made(remote, work, {"name": "Entretien"})
    line = Resource("timesheet.line", ("id",), ("id", "employee", "work", "work.name", "date", "duration"))
    [booked] = made(remote, line, {"employee": worker[0], "work": task[0], "date": "2026-03-02", "duration": "5400"})
    row = only(remote.fetch(line, [booked]))
    assert (row["date"], row["duration"], row["work.name"]) == ("2026-03-02", "5400", "Entretien")
    note = Resource("ir.attachment", ("id",), ("id", "name", "resource", "data"))
    [file] = made(remote, note, {"name": "plan", "resource": f"party.party,{party[0]}", "data": "AAECA//+"})
    row = only(remote.fetch(note, [file]))
    assert (row["resource"], row["data"]) == (f"party.party,{party[0]}", "AAECA//+")
    cron = Resource("ir.cron", ("id",), ("id", "next_call"))
    [job] = others.read("model.ir.cron.search", [], 0, 1, [["id", "ASC"]])
    [receipt] = remote.write(cron, [Change("update", (str(job),), {"next_call": "2026-07-01T12:30:00+02:00"})])
    assert receipt.state == "delivered"
    assert only(remote.fetch(cron, [(str(job),)]))["next_call"] == "2026-07-01T10:30:00+00:00"


def test_a_link_is_written_by_what_it_is_called(remote: TrytonRemote) -> None:
    [party] = made(remote, PARTY, {"name": "Brest Froid"})
    changes = [Change("create", None, {"party": party[0], "street_unstructured": f"{code} 1", "country.code": code})
               for code in ("FR", "XX", "BE", "")]
    receipts = remote.write(ADDRESS, changes)
    assert [receipt.state for receipt in receipts] == ["delivered", "refused", "delivered", "delivered"]
    assert receipts[1].message == "country.code: no country.country with code 'XX'"
    page = remote.fetch(ADDRESS, [receipt.key for receipt in receipts if receipt.key])
    assert page.frame["country.code"].tolist() == ["FR", "BE", ""]
    assert len(remote.find(ADDRESS, {"party": party[0], "country.code": "FR"})) == 1
    assert len(remote.find(ADDRESS, {"party": party[0], "country.code": ""})) == 1


def test_two_that_are_called_alike_are_not_guessed(remote: TrytonRemote) -> None:
    made(remote, PARTY, {"name": "Twin"}, {"name": "Twin"})
    by_name = Resource("party.address", ("id",), ("id", "party.name"))
    [receipt] = remote.write(by_name, [Change("create", None, {"party.name": "Twin"})])
    assert receipt == Receipt("refused", None, code="value", message="party.name: 2 party.party with name 'Twin'")


def test_children_are_read_although_their_parent_says_nothing_changed(remote: TrytonRemote) -> None:
    exact = {"overlap": 0.0}
    [party] = made(remote, PARTY, {"name": "Parent"})
    [address] = made(remote, ADDRESS, {"party": party[0], "street_unstructured": "1 quai"})
    made(remote, PARTY, {"name": "later"})
    of_parties, of_addresses = end_of(remote.read(replace(PARTY, **exact), None)), end_of(remote.read(replace(ADDRESS, **exact), None))
    remote.write(ADDRESS, [Change("update", address, {"street_unstructured": "2 quai"})])
    changed = [key for page in remote.read(replace(PARTY, **exact), of_parties).pages() for key in page.frame["id"]]
    assert party[0] not in changed
    changed = [key for page in remote.read(replace(ADDRESS, **exact), of_addresses).pages() for key in page.frame["id"]]
    assert address[0] in changed


def test_a_party_s_phone_and_email_are_columns_both_ways(remote: TrytonRemote, others: Session) -> None:
    party = Resource("party.party", ("id",), ("id", "name", "phone", "mobile", "email"), version="_timestamp")

    def seen(key: tuple[str, ...]) -> list[str]:
        return list(remote.fetch(party, [key]).frame[["name", "phone", "mobile", "email"]].iloc[0])

    def mechanisms(key: tuple[str, ...], *wanted: str) -> list[dict[str, Any]]:
        return list(others.read("model.party.contact_mechanism.search_read", [["party", "=", int(key[0])]], 0, None,
                                [["id", "ASC"]], list(wanted), context={"active_test": False}))

    [key, other] = made(remote, party, {"name": "Reached", "phone": "0199000001", "email": "a@example.org"},
                        {"name": "Silent"})
    others.write("model.party.contact_mechanism.create", [
        {"party": int(key[0]), "type": "phone", "value": "0199000002", "name": "night"}])
    others.write("model.party.contact_mechanism.write", [mechanisms(key)[0]["id"]], {"comment": "kept"})
    written = remote.write(party, [
        Change("update", key, {"name": "Reached again", "phone": "0199000009", "mobile": "0639980001"}),
        Change("update", other, {"phone": "0199000003"})])
    assert [receipt.state for receipt in written] == ["delivered"] * 2
    assert seen(key) == ["Reached again", "0199000009", "0639980001", "a@example.org"]
    assert seen(other) == ["Silent", "0199000003", "", ""]
    assert remote.write(party, [Change("update", key, {"phone": "", "email": ""})])[0].state == "delivered"
    assert seen(key)[1:] == ["0199000002", "0639980001", ""], "the next phone takes the place of the one that was ended"
    kept = [(row["value"], row["comment"], bool(row["active"]))
            for row in mechanisms(key, "type", "value", "comment", "active") if row["type"] == "phone"]
    assert kept == [("0199000009", "kept", False), ("0199000002", None, True)]


def test_a_column_behind_no_link_and_one_that_is_tryton_s_own_are_refused(remote: TrytonRemote) -> None:
    with pytest.raises(ConfigurationError, match="'name' is no link"):
        remote.capabilities(replace(PARTY, columns=("name.code",)))
    with pytest.raises(ConfigurationError, match=r"(?s)'cod'.*'code'"):
        remote.capabilities(replace(ADDRESS, columns=("country.cod",)))
    with pytest.raises(ConfigurationError, match="cannot be written"):
        remote.write(PARTY, [Change("create", None, {"id": "7"})])
    with pytest.raises(ConfigurationError, match="not the version"):
        remote.capabilities(replace(PARTY, version="write_date"))


# keys that are no ids, references

def test_rows_go_by_a_code_as_well(remote: TrytonRemote, others: Session) -> None:
    parties = Resource("party.party", ("code",), ("code", "name", "active"), version="_timestamp")
    receipts = remote.write(parties, [Change("create", None, {"name": "numbered by Tryton"}),
                                      Change("create", None, {"name": "by us", "code": "C-042"})])
    assert [receipt.state for receipt in receipts] == ["delivered", "delivered"]
    numbered, ours = receipts[0].key, receipts[1].key
    assert ours == ("C-042",)
    assert numbered is not None
    assert only(remote.fetch(parties, [numbered]))["name"] == "numbered by Tryton"
    receipts = remote.write(parties, [Change("update", ours, {"name": "renamed"}), Change("update", ("C-04",), {"name": "x"})])
    assert [receipt.state for receipt in receipts] == ["delivered", "refused"]
    assert "C-04" in receipts[1].message
    assert only(remote.fetch(parties, [ours]))["name"] == "renamed"
    source = remote.read(parties, end_of(remote.read(parties, None)))
    remote.write(parties, [Change("delete", ours, {})])
    end_of(source)
    assert source.gone == (), "the log knows ids only"


def test_our_reference_is_written_and_found(remote: TrytonRemote) -> None:
    parties = replace(PARTY, reference="code")
    [receipt] = remote.write(parties, [Change("create", None, {"name": "ours"}, reference="navette-17")])
    page = remote.find(parties, {"code": "navette-17"})
    assert [(key,) for key in page.frame["id"]] == [receipt.key]


def test_rows_that_we_made_are_told_from_those_of_others(remote: TrytonRemote, tryton: TrytonServer) -> None:
    mine, another = made(remote, CATEGORY, {"name": "mine"}, {"name": "another"})
    in_database(tryton, "UPDATE product_category SET create_uid = 0 WHERE id = ?", another[0])
    fresh = open_tryton(tryton.settings())
    assert fresh.made_by_us(CATEGORY, [mine, another, ("999999",)]) == {mine}
    assert fresh.made_by_us(replace(CATEGORY, key=("name",)), [("mine",)]) is None
    fresh.close()


def test_a_computed_column_s_own_search_finds_no_more_than_the_value(remote: TrytonRemote) -> None:
    named = replace(PARTY, columns=("id", "rec_name"))
    [key] = made(remote, PARTY, {"name": "Loïc Morvan", "code": "LM-1"})
    assert len(remote.find(named, {"rec_name": "LM-1"})) == 0, "Tryton looks in the code too"
    assert only(remote.find(named, {"rec_name": "Loïc Morvan"}))["id"] == key[0]


# what the server says no to

def test_a_warning_is_not_confirmed_in_silence(remote: TrytonRemote, others: Session) -> None:
    [unit] = others.read("model.product.uom.search", [["name", "=", "Unit"]], 0, 1, None)
    template = Resource("product.template", ("id",), ("id", "name", "active"))
    [key] = made(remote, replace(template, columns=("id", "type", "default_uom")),
                 {"name": "Chaudière", "type": "goods", "default_uom": str(unit)})
    [product] = others.write("model.product.product.create", [{"template": int(key[0])}])
    places = {kind: others.read("model.stock.location.search", [["type", "=", kind]], 0, 1, None)[0]
              for kind in ("lost_found", "storage")}
    [move] = others.write("model.stock.move.create", [{
        "product": product, "unit": unit, "quantity": 3.0, "from_location": places["lost_found"],
        "to_location": places["storage"]}])
    others.write("model.stock.move.do", [move])
    for _ in range(2):  # asking again does not confirm it either
        [receipt] = remote.write(template, [Change("archive", key, {})])
        assert (receipt.state, receipt.code) == ("refused", "UserWarning")
        assert "Chaudière" in receipt.message
        assert only(remote.fetch(template, [key]))["active"] == "true"


def test_a_record_in_use_is_not_deleted(remote: TrytonRemote, others: Session) -> None:
    [party] = others.read("model.party.party.search", [["name", "=", "Thermelec Maintenance"]], 0, 1, None)
    [receipt] = remote.write(PARTY, [Change("delete", (str(party),), {})])
    assert receipt.state == "refused"
    assert receipt.message
    assert "Traceback" not in receipt.message
    assert len(remote.fetch(PARTY, [(str(party),)])) == 1


@pytest.mark.parametrize("language", ["en", "fr"])
def test_a_right_that_our_login_lacks_is_told_as_that_in_any_language(
        tryton: TrytonServer, others: Session, remote: TrytonRemote, language: str) -> None:
    english = 'You are not allowed to access "%(model)s".'
    if language == "fr":
        [message] = others.read("model.ir.message.search", [["text", "=", english]], 0, 1, None)
        in_database(tryton, "INSERT INTO ir_translation (name, res_id, lang, type, src, value, module, overriding_module,"
                            " fuzzy) VALUES ('ir.message,text', ?, 'fr', 'model', ?, ?, 'ir', '', 0)",
                    message, english, "Vous n'êtes pas autorisé à accéder à « %(model)s ».")
    login, password = f"guest {language}", "nur-Lesen-42"
    others.write("model.res.user.create", [{"name": login, "login": login, "password": password}])
    guest = open_tryton(tryton.settings(user=login, password=password, password_file=None, language=language))
    [key] = made(remote, CATEGORY, {"name": "locked"})
    try:
        [receipt] = guest.write(CATEGORY, [Change("update", key, {"name": "broken open"})])
        assert (receipt.state, receipt.code) == ("refused", NOT_ABLE)
        assert ("pas autorisé" in receipt.message, "Product Category" in receipt.message) == (language == "fr", True)
    finally:
        guest.close()


def test_a_rule_that_our_login_does_not_meet_is_told_as_a_right_that_it_lacks(
        tryton: TrytonServer, others: Session, another: Session, remote: TrytonRemote) -> None:
    [rule] = others.write("model.ir.rule.group.create", [{
        "name": "Only theirs", "model": "product.category", "global_p": True, "perm_read": False, "perm_create": False,
        "rules": [["create", [{"domain": '[["name", "!=", "ours"]]'}]]]}])
    own = open_tryton(another.settings)
    [key] = made(remote, CATEGORY, {"name": "theirs"})
    try:
        said = [own.write(CATEGORY, [change])[0] for change in (
            Change("update", key, {"name": "ours"}), Change("update", key, {"parent": "99999999"}))]
        assert [(one.state, one.code == NOT_ABLE) for one in said] == [("refused", True), ("refused", False)], said
    finally:
        others.write("model.ir.rule.group.delete", [rule])
        own.close()


# logins and sessions

def test_a_refused_login_is_tried_once(tryton: TrytonServer) -> None:
    remote = open_tryton(tryton.settings(user="ghost", password="geheim-4711", password_file=None))
    before = in_database(tryton, "SELECT count(*) FROM res_user_login_attempt WHERE login = 'ghost'")
    for call in (lambda: remote.fetch(PARTY, []), lambda: remote.capabilities(PARTY), lambda: end_of(remote.read(PARTY, None)),
                 lambda: remote.write(PARTY, [Change("create", None, {"name": "x"})])):
        with pytest.raises(LoginRefused, match="ghost") as refused:
            call()
        assert "geheim-4711" not in str(refused.value)
    remote.close()
    after = in_database(tryton, "SELECT count(*) FROM res_user_login_attempt WHERE login = 'ghost'")
    assert after[0][0] - before[0][0] == 1


def test_a_locked_account_is_a_refused_login(tryton: TrytonServer) -> None:
    for _ in range(6):
        in_database(tryton, "INSERT INTO res_user_login_attempt (login, create_date, create_uid) "
                            "VALUES ('locked', strftime('%Y-%m-%d %H:%M:%f', 'now'), 0)")
    remote = open_tryton(tryton.settings(user="locked", password="anything", password_file=None))
    with pytest.raises(LoginRefused, match="locked for some minutes"):
        remote.fetch(PARTY, [])
    remote.close()


def test_a_session_that_is_over_is_renewed(remote: TrytonRemote, tryton: TrytonServer) -> None:
    [key] = made(remote, PARTY, {"name": "before"})
    in_database(tryton, "DELETE FROM ir_session")
    assert len(remote.fetch(PARTY, [key])) == 1
    in_database(tryton, "DELETE FROM ir_session")
    assert [receipt.state for receipt in remote.write(PARTY, [Change("update", key, {"name": "after"})])] == ["delivered"]
    remote.close()
    assert in_database(tryton, "SELECT count(*) FROM ir_session") == [(0,)], "a closed session leaves none behind"


def test_a_read_is_made_again_when_another_session_ended_under_it(
        remote: TrytonRemote, monkeypatch: pytest.MonkeyPatch) -> None:
    [key] = made(remote, PARTY, {"name": "read in spite of it"})
    call, refusals = remote.session._call, [Refused("UserError", 'You are trying to read records "38" of "Session" '
                                                    "that don't exist.")]

    def stumbling(method: str, *params: Any) -> Any:
        if refusals and method.startswith("model.party"):
            raise refusals.pop()
        return call(method, *params)

    monkeypatch.setattr(remote.session, "_call", stumbling)
    assert only(remote.fetch(PARTY, [key]))["name"] == "read in spite of it"
    assert refusals == []


def test_the_password_stands_in_no_message_and_no_repr(tryton: TrytonServer) -> None:
    settings = tryton.settings(password="top-secret-9", password_file=None, database="nowhere")
    remote = open_tryton(settings)
    with pytest.raises(ConfigurationError) as failed:
        remote.fetch(PARTY, [])
    assert "top-secret-9" not in f"{failed.value} {settings!r} {remote!r} {vars(remote)}"
    assert "404" in str(failed.value)


# large answers

def test_what_is_too_large_for_one_answer_is_read_in_halves(tryton: TrytonServer, remote: TrytonRemote) -> None:
    keys = made(remote, CATEGORY, *({"name": "é" * 400} for _ in range(40)))
    small = open_tryton(tryton.settings(largest_answer=9000))
    try:
        narrow = replace(CATEGORY, columns=("id", "name"))
        small.models._known["product.category"] = remote.models.get("product.category")  # its description is larger
        found = [key for page in small.read(narrow, None).pages() for key in page.frame["id"]]
        assert {key for key, in keys} <= set(found)
        assert len(found) == len(set(found))
    finally:
        small.close()
