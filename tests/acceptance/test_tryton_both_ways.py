"""Both ways with a real Tryton: what people do in the CRM and in Tryton, by the demo's own mappings."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from typing import Any

import psycopg
import pytest

from connectors.remote import Change, Receipt
from connectors.tryton.open import TrytonRemote
from connectors.tryton.session import Session
from crm_store.entity_tables import compile_entities
from crm_store.store import Store
from demo.erp_sides import Erp
from demo.tryton_server import TrytonServer
from mappings.language.project import Project, require_project
from pipelines.hub import Hub
from pipelines.runs.intake import run_flow
from pipelines.runs.live import keep_live
from pipelines.runs.lock import flow_lock
from pipelines.runs.push import push_locked
from pipelines.runs.push_result import PushResult
from pipelines.runs.pushing import push_flow
from pipelines.runs.remote import Kept
from pipelines.runs.standing import resume
from tests.cutting_proxy import CuttingProxy
from tests.tryton_desk import another, lay_mappings, others, tryton

__all__ = ["another", "others", "tryton"]
pytestmark = pytest.mark.timeout(900)  # the first on a machine sets Tryton up
PARTIES, ADDRESSES = "tryton_parties", "tryton_addresses"


@dataclass
class Both:
    """The demo's project with a fresh store, beside this module's Tryton."""

    root: Path
    store: Store
    project: Project
    session: Session
    hub: Hub = field(init=False)
    erp: Erp = field(init=False)

    def __post_init__(self) -> None:
        self.hub = Hub(self.project, self.root / "home", self.store, compile_entities(self.project.entities))
        self.erp = Erp(self.session)

    def run(self, flow: str = PARTIES, **said: Any) -> None:
        result = run_flow(self.hub, flow, **said)[-1]
        assert result.state == "done", result.problem

    def push(self, flow: str = PARTIES) -> PushResult:
        return push_flow(self.hub, flow)

    def crm(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """As a CRM application."""
        with psycopg.connect(self.store.crm_url, autocommit=True) as connection:
            cursor = connection.execute(statement, values or None)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []

    def sees(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """As the hub."""
        with self.store.connect(self.store.roles.hub, autocommit=True) as connection:
            return connection.execute(statement, values or None).fetchall()  # type: ignore[arg-type]

    def party(self, name: str, **values: Any) -> int:
        """A party that somebody makes in Tryton; returns its id."""
        [made] = self.session.write("model.party.party.create", [{"name": name, **values}])
        return int(made)

    def there(self, number: int, *names: str) -> list[Any]:
        [row] = self.session.read("model.party.party.read", [number], list(names))
        return [row[name] for name in names]


Make = Callable[..., Both]


@pytest.fixture
def make(tryton: TrytonServer, others: Session, new_store: Any, tmp_path: Path) -> Make:
    def made(**masters: str) -> Both:
        lay_mappings(tmp_path)
        company = tmp_path / "mappings" / "entities" / "company.yaml"
        for name, owner in masters.items():
            company.write_text(re.sub(rf"(?m)^  {name}: \w+", f"  {name}: {owner}", company.read_text("utf-8")), "utf-8")
        project = require_project(tmp_path, {
            "TRYTON_URL": tryton.url, "TRYTON_PASSWORD_FILE": str(tryton.password_file)})
        return Both(tmp_path, new_store(project), project, others)

    return made


@pytest.fixture
def both(make: Make) -> Both:
    return make()


def test_a_customer_of_the_crm_is_one_party_however_often_it_is_sent(both: Both) -> None:
    both.run()
    both.crm("INSERT INTO crm.company (name, type, phone) VALUES ('Made once', 'customer', '+33199005555')")
    assert both.push().counts["created"] == 1
    for _ in range(2):
        both.run()
        assert both.push().counts["created"] == 0
    [code] = both.erp.codes("Made once")
    assert both.crm("SELECT customer_code, phone FROM crm.company WHERE name = 'Made once'") == [(code, "+33199005555")]


def test_live_writes_what_it_has_seen_without_reading_it_again_but_for_what_stands_elsewhere(both: Both) -> None:
    number, flow, kept = both.party("Seen"), both.hub.flow(PARTIES), Kept()
    both.run()

    def sent(column: str, value: str) -> tuple[int, int, int]:
        """Sends one edit as live does: how often it read before, what it updated, and what waits."""
        count = "SELECT count(*) FROM sync.run WHERE trigger = 'push' AND source = 'party.party'"
        [(before,)] = both.sees(count)
        both.crm(f"UPDATE crm.company SET {column} = %s WHERE name LIKE 'Seen%%'", value)
        with flow_lock(both.hub, PARTIES):
            pushed = push_locked(both.hub, flow, kept=kept)
        return int(both.sees(count)[0][0]) - before, pushed.counts["updated"], pushed.counts["waiting"]

    try:
        assert sent("name", "Seen once") == (1, 1, 0)
        assert sent("name", "Seen twice") == (0, 1, 0)
        assert both.there(number, "name") == ["Seen twice"]
        assert sent("phone", "+33199007777") == (1, 1, 0)  # its mechanism may have changed without a new version
        both.session.write("model.party.party.write", [number], {"name": "Seen there"})
        assert sent("name", "Seen here") == (1, 0, 0)  # refused with the old version, read, and the conflict is decided
        assert both.there(number, "name") == ["Seen there"], "on_conflict: name: tryton"
        assert both.crm("SELECT phone FROM crm.company WHERE name = 'Seen there'") == [("+33199007777",)]
    finally:
        kept.close()


def test_what_somebody_saves_between_our_reading_and_our_writing_is_not_written_over(
        both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    number = both.party("Contested", website="https://old.example")
    both.run()
    written = TrytonRemote.write
    meanwhile: list[str] = []

    def write(remote: TrytonRemote, resource: Any, changes: list[Change]) -> list[Receipt]:
        if not meanwhile:  # another user, just before us, once
            both.session.write("model.party.party.write", [number], {"name": "Saved meanwhile"})
        receipts = written(remote, resource, changes)
        meanwhile.append(receipts[0].state)
        return receipts

    monkeypatch.setattr(TrytonRemote, "write", write)
    both.crm("UPDATE crm.company SET name = 'From the CRM', email = 'crm@example.org' WHERE name = 'Contested'")
    both.push()
    assert meanwhile == ["stale", "delivered"]
    assert both.there(number, "name", "email") == ["Saved meanwhile", "crm@example.org"], "on_conflict: name: tryton"
    assert both.crm("SELECT name FROM crm.company WHERE email = 'crm@example.org'") == [("Saved meanwhile",)]
    assert both.sees("SELECT field, winner, ours #>> '{}' FROM sync.conflict") == [("name", "remote", "From the CRM")]


def test_what_another_user_saves_before_we_read_back_is_his_edit(
        both: Both, another: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    number = both.party("Renamed", contact_mechanisms=[["create", [{"type": "phone", "value": "+33199006001"}]]])
    both.run()
    written = TrytonRemote.write
    edits: list[tuple[str, int, dict[str, Any]]] = []

    def write(remote: TrytonRemote, resource: Any, changes: list[Change]) -> list[Receipt]:
        receipts = written(remote, resource, changes)
        while edits:
            model, ours, values = edits.pop()
            another.write(f"model.{model}.write", [ours], values)
        return receipts

    monkeypatch.setattr(TrytonRemote, "write", write)
    [phone] = another.read("model.party.contact_mechanism.search", [["party", "=", number]], 0, None, None)
    edits.append(("party.party", number, {"name": "Renamed there"}))
    both.crm("UPDATE crm.company SET name = 'Renamed here' WHERE name = 'Renamed'")
    both.push()
    assert both.crm("SELECT name FROM crm.company WHERE phone = '+33199006001'") == [("Renamed there",)]
    edits.append(("party.contact_mechanism", phone, {"value": "+33199006003"}))
    both.crm("UPDATE crm.company SET phone = '+33199006002' WHERE name = 'Renamed there'")
    both.push()
    assert both.crm("SELECT phone FROM crm.company WHERE name = 'Renamed there'") == [("+33199006003",)]
    assert both.there(number, "name", "phone") == ["Renamed there", "+33199006003"]


def test_what_tryton_s_rules_refuse_is_told_in_its_words_and_keeps_nothing_else(make: Make) -> None:
    both = make(customer_code="shared")
    first, second = both.party("Owner of a code"), both.party("Wants the same")
    both.run()
    [code] = both.there(first, "code")
    both.crm("UPDATE crm.company SET customer_code = %s WHERE name = 'Wants the same'", code)
    both.crm("UPDATE crm.company SET email = 'good@example.org' WHERE name = 'Owner of a code'")
    pushed = both.push()
    assert (pushed.counts["refused"], pushed.counts["updated"]) == (1, 1)
    [(state, said)] = both.sees("SELECT state, why->>'message' FROM sync.outbox WHERE state <> 'waiting'")
    assert state == "refused"
    assert said.startswith('You are not allowed to modify the field "Code" in record "Wants the same"')
    assert both.there(first, "email") == ["good@example.org"]
    assert both.there(second, "code") != [code]


def test_a_party_deleted_there_is_unlinked_and_an_address_is_archived(both: Both) -> None:
    kept, deleted = both.party("Kept"), both.party("Deleted there")
    [address] = both.session.write("model.party.address.create", [{"party": kept, "city": "Dijon"}])
    both.run()
    both.run(ADDRESSES)
    both.session.write("model.party.address.delete", [address])
    both.session.write("model.party.party.delete", [deleted])
    both.run(ADDRESSES)
    both.run()
    assert both.crm("SELECT archived_at IS NOT NULL FROM crm.address WHERE city = 'Dijon'") == [(True,)]
    assert both.crm("SELECT archived_at FROM crm.company WHERE name = 'Deleted there'") == [(None,)]
    assert both.sees("SELECT count(*) FROM sync.crosswalk_company WHERE key = %s", str(deleted)) == [(0,)]


def test_live_takes_a_deletion_in_once(both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    deleted, stop, reads, after = both.party("Deleted once"), Event(), TrytonRemote.read, list[str]()

    def runs() -> int:
        return int(both.sees("SELECT count(*) FROM sync.run WHERE flow = %s", PARTIES)[0][0])

    def read(remote: TrytonRemote, resource: Any, *said: Any) -> Any:
        if resource.name == "party.party" and not both.sees(
                "SELECT FROM sync.crosswalk_company WHERE key = %s", str(deleted)):
            after.append(str(runs()))
            stop.set() if len(after) == 4 else None
        return reads(remote, resource, *said)

    both.run()
    both.session.write("model.party.party.delete", [deleted])
    monkeypatch.setattr(TrytonRemote, "read", read)
    keep_live(both.hub, "tryton", stop, lambda *_: None)
    assert len(set(after)) == 1, "no run for what the overlap brings again"


def test_archiving_goes_both_ways(both: Both) -> None:
    here, there = both.party("Archived here"), both.party("Archived there")
    both.run()
    both.crm("UPDATE crm.company SET archived_at = now() WHERE name = 'Archived here'")
    both.session.write("model.party.party.write", [there], {"active": False})
    both.run()
    assert both.there(here, "active") == [False]
    assert both.crm("SELECT archived_at IS NOT NULL FROM crm.company WHERE name = 'Archived there'") == [(True,)]


def test_a_phone_is_written_over_only_where_it_is_the_one_that_was_read(
        both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    phones = [{"type": "phone", "value": "+33199008001"}, {"type": "phone", "value": "+33199008002"}]
    number = both.party("Two phones", contact_mechanisms=[["create", phones]])
    both.run()
    mechanism = "model.party.contact_mechanism"
    [first, second] = both.session.read(f"{mechanism}.search", [["party", "=", number]], 0, None, None)
    written = TrytonRemote.write
    edits = [lambda: both.session.write(f"{mechanism}.write", [first], {"sequence": 20}, [second], {"sequence": 10})]

    def write(remote: TrytonRemote, resource: Any, changes: list[Change]) -> list[Receipt]:
        if edits:
            edits.pop()()
        return written(remote, resource, changes)

    def there() -> list[str]:
        return [row["value"] for row in both.session.read(
            f"{mechanism}.search_read", [["party", "=", number]], 0, None, None, ["value"])]

    monkeypatch.setattr(TrytonRemote, "write", write)
    both.crm("UPDATE crm.company SET phone = '+33199008009' WHERE name = 'Two phones'")
    both.push()
    [(ours, theirs, winner)] = both.sees("SELECT ours, theirs, winner FROM sync.conflict WHERE field = 'phone'")
    assert ("+33199008009" in str(ours), "+33199008002" in str(theirs), "+33199008001" in there()) == (True, True, True)
    assert there()[0] == ("+33199008009" if winner == "crm" else "+33199008002")

    both.crm("UPDATE crm.company SET phone = NULL WHERE name = 'Two phones'")
    both.push()
    both.run()
    assert there() == ["+33199008001"], "the next one takes its place"
    assert both.crm("SELECT phone FROM crm.company WHERE name = 'Two phones'") == [(None,)]
    both.crm("UPDATE crm.company SET phone = '+33199008010' WHERE name = 'Two phones'")
    both.push()
    both.run()
    assert there() == ["+33199008010", "+33199008001"]
    assert both.crm("SELECT phone FROM crm.company WHERE name = 'Two phones'") == [("+33199008010",)]


def test_taken_back_and_renamed_in_one_go_comes_to_both_also_when_killed_between(
        both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    number = both.party("Put away")
    both.run()
    both.crm("UPDATE crm.company SET archived_at = now() WHERE name = 'Put away'")
    both.push()
    both.crm("UPDATE crm.company SET archived_at = NULL, name = 'Taken back' WHERE name = 'Put away'")
    write = Session.write

    def killed(session: Session, method: str, *params: Any, **said: Any) -> Any:
        told = write(session, method, *params, **said)
        if params[-1:] == ({"active": True},):
            raise KeyboardInterrupt
        return told

    with monkeypatch.context() as patched:
        patched.setattr(Session, "write", killed)
        with pytest.raises(KeyboardInterrupt):
            both.push()
    assert both.there(number, "name", "active") == ["Put away", True]
    both.push()
    both.run()
    assert both.there(number, "name", "active") == ["Taken back", True]
    assert both.crm("SELECT name FROM crm.company WHERE archived_at IS NULL AND name IN ('Taken back', 'Put away')"
                    ) == [("Taken back",)]
    assert both.sees("SELECT state FROM sync.outbox UNION ALL SELECT state FROM sync.intent"
                     " WHERE state IN ('open', 'unclear')") == []
    both.crm("UPDATE crm.company SET archived_at = now() WHERE name = 'Taken back'")
    both.push()
    both.crm("UPDATE crm.company SET archived_at = NULL, name = 'Taken again' WHERE name = 'Taken back'")
    assert both.push().counts["updated"] == 1
    assert both.there(number, "name", "active") == ["Taken again", True]


def test_a_text_that_tryton_stores_otherwise_does_not_bounce(both: Both) -> None:
    number = both.party("Stripped")
    [address] = both.session.write("model.party.address.create", [{"party": number, "city": "Agen"}])
    both.run()
    both.run(ADDRESSES)
    both.crm("UPDATE crm.address SET city = '  Villeneuve ' WHERE city = 'Agen'")
    assert both.push(ADDRESSES).counts["updated"] == 1
    before = both.erp.stamps()
    for full in (False, True):
        both.run(ADDRESSES, full=full)
    stored = both.session.read("model.party.address.read", [address], ["city"])[0]["city"]
    assert stored == "Villeneuve"
    assert both.crm("SELECT city FROM crm.address WHERE city LIKE '%%Villeneuve%%'") == [("  Villeneuve ",)]
    assert both.erp.stamps() == before


def test_live_tries_a_refused_login_once_and_not_again_before_somebody_resumes_the_system(
    tryton: TrytonServer, others: Session, new_store: Any, tmp_path: Path
) -> None:
    lay_mappings(tmp_path)
    secret, good = tmp_path / "secret", tryton.password_file.read_text("utf-8")
    secret.write_text("wrong\n", "utf-8")
    secret.chmod(0o600)
    proxy = CuttingProxy(tryton.port, lambda body: b"common.db.login" in body)
    project = require_project(tmp_path, {"TRYTON_URL": proxy.url, "TRYTON_PASSWORD_FILE": str(secret)})
    both = Both(tmp_path, new_store(project), project, others)

    def lives(until: str, meanwhile: Callable[[], object] = lambda: None) -> list[str]:
        """What live tells of problems, until it tells that."""
        stop, told = Event(), list[str]()

        def said(_: str, counts: Counter[str]) -> None:
            told.extend(what for what in counts if what.startswith("problem"))
            stop.set() if any(what.startswith(until) for what in told) else meanwhile()

        thread = Thread(target=keep_live, args=(both.hub, "tryton", stop, said))
        thread.start()
        thread.join()
        return told

    def put_right() -> None:
        secret.write_text(good, "utf-8")
        resume(both.hub, "tryton")

    try:
        for _ in range(2):
            assert len(lives("problem: the system is paused")) == 1
        assert len(proxy.seen) == 1
        assert len(lives("problem over", put_right)) == 2
    finally:
        proxy.close()
