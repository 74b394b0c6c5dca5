"""A desk for the tests that break everything: a CRM, and three systems in memory that share its companies.

`erp` masters names, cuts texts and respells phone numbers, and tells versions. `shop` has no versions, takes changes one
by one and keeps no id of ours. `books` masters the credit limit and takes batches whole. All number their own rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest

from connectors import registry
from crm_store.entity_tables import compile_entities
from crm_store.store import Store
from mappings.errors import RetryLater
from mappings.language.project import Project, require_project
from pipelines.hub import Hub
from pipelines.ops.conflicts import open_conflicts
from pipelines.runs.intake import HeldBack, held_back
from pipelines.runs.lock import flow_lock
from pipelines.runs.push import push_locked
from pipelines.runs.push_result import PushResult
from pipelines.runs.pushing import push_flow
from pipelines.runs.remote import Kept, read_remote
from pipelines.runs.replay import retry_after_creates, retry_parked
from pipelines.runs.result import RunResult
from pipelines.runs.settling import settle_run
from pipelines.runs.standing import resume
from pipelines.runs.unfinished import finish_unfinished
from tests.both_ways_desk import SEEN
from tests.memory_life import Life
from tests.memory_systems import Killed, MemorySystem, cutting, opening

FILES = {
    "systems": """
systems:
  erp: {connector: memory, settle: 0s}
  shop: {connector: memory, settle: 0s}
  books: {connector: memory, settle: 0s}
""",
    "entities/company": """
entity: company
masters: {name: erp, credit_limit: books, segment_note: crm, archived: crm, type: crm, else: shared}
fields: {segment_note: {}}
on_conflict: {phone: crm, email: erp}
""",
    "flows/erp": """
flow: erp
system: erp
direction: two-way
read: {resource: customer, changed_since: changed, version: rev}
write: {create: true, reference: our_id}
into:
  entity: company
  key: {from: id, assigned: remote}
  match: [siret]
  fields:
    name: {from: name, required: true}
    siret: siret
    city: city
    phone: {from: phone, region: FR}
    email: email
    segment_note: note
    website: website
    archived: {from: closed, as: boolean}
guard: {rejects: null, creates: null, updates: null, archives: null}
""",
    "flows/shop": """
flow: shop
system: shop
direction: two-way
read: {resource: client, changed_since: changed}
write: {create: true, archived: archive}
into:
  entity: company
  key: {from: id, assigned: remote}
  match: [siret]
  absent: unlink
  fields:
    name: {from: name, required: true}
    siret: siret
    city: city
    phone: {from: phone, region: FR}
    email: email
    website: website
guard: {rejects: null, creates: null, updates: null, archives: null}
""",
    "flows/books": """
flow: books
system: books
direction: two-way
read: {resource: debtor, changed_since: changed, version: rev}
write: {create: true, archived: delete, reference: our_id}
into:
  entity: company
  key: {from: id, assigned: remote}
  match: [siret]
  fields:
    name: {from: name, required: true}
    siret: siret
    city: city
    credit_limit: {from: credit, currency: EUR}
    phone: {from: phone, region: FR}
    segment_note: note
guard: {rejects: null, creates: null, updates: null, archives: null}
""",
}
FIELDS = {
    "erp": {"name": "name", "siret": "siret", "city": "city", "phone": "phone", "email": "email",
            "segment_note": "note", "website": "website"},
    "shop": {"name": "name", "siret": "siret", "city": "city", "phone": "phone", "email": "email",
             "website": "website"},
    "books": {"name": "name", "siret": "siret", "city": "city", "credit_limit": "credit", "phone": "phone",
              "segment_note": "note"},
}
"""System to field to column."""
FLOWS = tuple(FIELDS)

EMPTY = """
DO $$ DECLARE name text; BEGIN
    SET LOCAL session_replication_role = replica;  -- records are never deleted, but by those who test
    FOR name IN SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname IN ('crm', 'sync')
        -- The outbox's triggers know feeds by number, and kept plans know sets of fields.
        AND tablename NOT IN ('master', 'applied', 'alembic_version', 'feed', 'id_space', 'subscription', 'field_set') LOOP
        EXECUTE format('DO $x$ BEGIN IF EXISTS (SELECT FROM %1$s) THEN DELETE FROM %1$s; END IF; END $x$', name);
    END LOOP;
    FOR name IN SELECT format('staging.%I', tablename) FROM pg_tables WHERE schemaname = 'staging' LOOP
        EXECUTE 'DROP TABLE ' || name || ' CASCADE';
    END LOOP;
END $$
"""


def systems() -> dict[str, MemorySystem]:
    """The three, empty."""
    return {
        "erp": MemorySystem((*FIELDS["erp"].values(), "our_id"), tidy=cutting, refused="FORBIDDEN"),
        "shop": MemorySystem(tuple(FIELDS["shop"].values()), versions=False, whole_batch=False, batch=2),
        "books": MemorySystem((*FIELDS["books"].values(), "our_id"), refused="FORBIDDEN", batch=3),
    }


def siret(number: int) -> str:
    """A valid SIRET for each number."""
    digits = f"7328293200{number:03d}"
    total = sum(sum(divmod(int(digit) * (2 if place % 2 == 0 else 1), 10)) for place, digit in enumerate(digits[::-1]))
    return f"{digits}{-total % 10}"


@dataclass
class Three:
    """The project with its store and the three systems."""

    root: Path
    store: Store
    project: Project
    systems: dict[str, MemorySystem] = field(default_factory=systems)
    kept: dict[str, Kept] = field(default_factory=dict)  # by flow: the session of who pushes again and again
    hub: Hub = field(init=False)
    life: Life = field(init=False)

    def __post_init__(self) -> None:
        self.hub = Hub(self.project, self.root / "home", self.store, compile_entities(self.project.entities))
        self.life = Life(self.store)
        self.fresh()

    def fresh(self) -> None:
        """New systems without a row."""
        self.kept.clear()
        self.systems.update(systems())
        for one in self.systems.values():
            one.kill = self.life.die

    # what people and time do

    def crm(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """As a CRM application."""
        with psycopg.connect(self.store.crm_url, autocommit=True) as connection:
            cursor = connection.execute(statement, values or None)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []

    def sees(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """As the hub."""
        with self.store.connect(self.store.roles.hub, autocommit=True) as connection:
            cursor = connection.execute(statement, values or None)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []

    def one(self, statement: str, *values: object) -> Any:
        found = self.sees(statement, *values)
        return found[0][0] if found else None

    def time_passes(self) -> None:
        """So much that whatever waits for a moment is due."""
        self.sees("UPDATE sync.outbox SET due_at = now() WHERE state IN ('waiting', 'sending')")
        for name in FLOWS:
            resume(self.hub, name)

    # what the hub does

    def read(self, flow: str, *, full: bool = False) -> RunResult | None:
        """One read, nothing sent; None when it could not be made. A run that asks is approved."""
        def work() -> RunResult:
            one = self.hub.flow(flow)
            with flow_lock(self.hub, flow):
                finish_unfinished(self.hub, one, lambda *_: None)
                held_back(self.hub, one, supersede=False)
                return read_remote(self.hub, one, full=full, trigger="test", progress=lambda *_: None)

        result = self._lives(work)
        if result is not None and result.state == "review":
            result = settle_run(self.hub, result.run_id, approve=True)
        assert result is None or result.state == "done", result.problem
        return result

    def push(self, flow: str) -> PushResult | None:
        """Sends what is due; None when it could not."""
        return self._lives(lambda: push_flow(self.hub, flow))

    def push_again(self, flow: str) -> PushResult | None:
        """As live does: with what is known of the rows since the last time."""
        def work() -> PushResult:
            one = self.hub.flow(flow)
            with flow_lock(self.hub, flow):
                finish_unfinished(self.hub, one, lambda *_: None)
                result = push_locked(self.hub, one, kept=self.kept.setdefault(flow, Kept()))
            retry_after_creates(self.hub)
            return result

        return self._lives(work)

    def _lives(self, work: Callable[[], Any]) -> Any:
        """What `work` returns; None when the system is down or the hub was killed, which then begins anew."""
        for _ in range(50):
            try:
                return work()
            except Killed:
                self.kept.clear()
                self.life.reborn()
                return None
            except HeldBack:
                self._approve()
            except RetryLater as error:
                if "another run" not in error.message:
                    return None  # else: the server has not seen yet that the killed process is gone
        raise AssertionError("the flow's lock was never given back")

    def _approve(self) -> None:
        for (run_id,) in self.sees("SELECT id FROM sync.run WHERE state = 'review'"):
            settle_run(self.hub, run_id, approve=True)

    def round(self, *, full: bool = False) -> None:
        for flow in FLOWS:
            self.read(flow, full=full)
        retry_parked(self.hub)
        for flow in FLOWS:
            self.push(flow)

    def moved(self) -> tuple[int, ...]:
        """Grows with every write anywhere."""
        return (*(one.writes for one in self.systems.values()), self.one("SELECT count(*) FROM sync.journal"),
                self.one("SELECT count(*) FROM sync.conflict"))

    def rest(self, limit: int = 12) -> None:
        """Nobody edits, everything answers: reads and sends until nothing moves; fails when that does not end."""
        self.life.left = None
        for one in self.systems.values():
            one.answers.clear()
            one.is_down, one.repeats, one.meanwhile, one.afterwards = False, False, None, None
            one.arrive()
        before = None
        for _ in range(limit):
            self.time_passes()
            self.round(full=True)
            now = (self.moved(), self.waiting())
            if now == before:
                return
            before = now
        raise AssertionError(f"it does not come to rest: {self.told()}")

    def waiting(self) -> list[tuple[Any, ...]]:
        """(feed's flow, record, state, code) of every marker."""
        return self.sees("SELECT f.flow, o.record_id, o.state, o.why->>'code' FROM sync.outbox o"
                         " JOIN sync.feed f ON f.id = o.feed ORDER BY 1, 2")

    # what holds at rest

    def differences(self) -> list[str]:
        """Fields of linked records on which the sides differ and nothing says so."""
        found = []
        listed = {(flow, record) for flow, record, state, _ in self.waiting() if state in ("refused", "unclear")}
        disputed = {(one.flow, one.key, one.field) for one in self._open()}
        held = set(self.sees("SELECT f.flow, h.key FROM sync.held h JOIN sync.feed f ON f.id = h.feed"
                             " WHERE h.state = 'open'"))
        columns = ("name", "siret", "city", "phone", "email", "segment_note", "website", "credit_limit")
        records = {row[0]: dict(zip(columns, row[1:], strict=True)) for row in self.sees(
            f"SELECT id, {', '.join(columns)} FROM crm.company")}
        for flow, key, record in self.sees(
            "SELECT f.flow, x.key, x.record_id FROM sync.crosswalk_company x JOIN sync.feed f ON f.id = x.feed"
        ):
            row = self.systems[flow].rows.get(key)
            if row is None or (flow, record) in listed or (flow, key) in held:
                continue
            for name, column in FIELDS[flow].items():
                ours, theirs = shown(name, records[record][name]), row[column]
                same = plain(name, theirs) == plain(name, ours) or theirs == self.systems[flow].tidy(column, ours)
                if not same and (flow, key, name) not in disputed:
                    found.append(f"{flow} {key} (record {record}) {name}: here {ours!r}, there {theirs!r}")
        return found

    def _open(self) -> Any:
        with self.hub.engine.connect() as connection:
            return open_conflicts(self.hub, connection)

    def strangers(self) -> list[str]:
        """Rows of a system that are neither linked nor held."""
        known = set(self.sees("SELECT f.flow, x.key FROM sync.crosswalk_company x JOIN sync.feed f ON f.id = x.feed"
                              " UNION SELECT f.flow, h.key FROM sync.held h JOIN sync.feed f ON f.id = h.feed"
                              " WHERE h.state = 'open'"))
        return [f"{name} {key}" for name, one in self.systems.items() for key in one.rows if (name, key) not in known]

    def told(self) -> str:
        """Everything there is, for the message of a failure."""
        lines = [f"{name} {row}" for name, one in self.systems.items() for row in one.rows.values()]
        for statement in (
            "SELECT id, name, siret, city, phone, email, segment_note, website, credit_limit, archived_at FROM crm.company",
            "SELECT f.flow, x.key, x.record_id, x.is_primary, x.pending, x.remote, s.fields, x.absent_since, x.b_name,"
            " x.b_city, x.b_phone FROM sync.crosswalk_company x JOIN sync.feed f ON f.id = x.feed"
            " LEFT JOIN sync.field_set s ON s.id = x.base_set",
            "SELECT f.flow, o.record_id, o.state, o.why FROM sync.outbox o JOIN sync.feed f ON f.id = o.feed",
            "SELECT feed, record_id, operation, key, state, code, values FROM sync.intent ORDER BY id",
            "SELECT feed, key, record_id, field, base, ours, theirs, winner, state FROM sync.conflict ORDER BY id",
            "SELECT feed, key, outcome, code, causes FROM sync.held WHERE state = 'open'",
            "SELECT id, flow, trigger, state, problem FROM sync.run ORDER BY id DESC LIMIT 12",
        ):
            lines += ["", statement[:60], *map(str, self.sees(statement))]
        return "\n".join(lines)


def shown(name: str, value: Any) -> str:
    """A stored value as a cell."""
    return "" if value is None else format(value.normalize(), "f") if name == "credit_limit" else str(value)


def plain(name: str, cell: str) -> str:
    """A cell without what is only its spelling."""
    if name == "phone" and cell.startswith("0"):
        return "+33" + cell[1:].replace(" ", "")
    if name == "credit_limit" and cell:
        return format(float(cell), "g")
    return cell


@pytest.fixture(scope="module")
def module_three(server: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Three]:
    """Made once for a module."""
    root = tmp_path_factory.mktemp("three")
    for name, text in FILES.items():
        path = root / "mappings" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    project = require_project(root, {})
    made = Three(root, server.new_store(project), project)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipelines.runs.remote.open_remote", opening(made.systems))
        patch.setitem(registry._PLACES, "memory", ("tests.memory_systems", "MemorySettings", ""))
        yield made
    server.drop(made.store)


@pytest.fixture
def three(module_three: Three, server: Any) -> Three:
    """The desk, emptied."""
    clear(module_three, server)
    return module_three


def clear(three: Three, server: Any) -> None:
    """Empties store and systems."""
    three.life.reborn()
    with closing(server.superuser(three.store.database)) as connection:
        connection.execute(EMPTY)
    with suppress(FileNotFoundError):
        for path in (three.root / "home" / "reports").iterdir():
            path.unlink()
    three.fresh()
    three.sees(SEEN)
