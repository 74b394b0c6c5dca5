"""Chaos against a real Tryton: everything is killed, cut and delayed while people edit on both sides; then both agree.

Afterwards every record is compared field by field, none may be there twice, what only one side edited must have its last
value, and every line of the journal must be somebody's edit. A failing test prints its seed; NAVETTE_CHAOS_SEED=… edits
and kills in the same order again.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import phonenumbers
import pytest

from connectors.tryton.session import Session
from demo.tryton_server import TrytonServer
from tests.chaos_desk import PATIENCE, SAME_NUMBER, Chaos, chaos
from tests.chaos_edits import ENTITIES, MARK, Edits
from tests.tryton_desk import another, others, tryton

__all__ = ["another", "others", "tryton"]
pytestmark = pytest.mark.timeout(3600)  # the first on a machine sets Tryton up
FLOWS = ("tryton_parties", "tryton_addresses")
COMPARED = {"company": ("name", "phone", "email", "archived"),
            "address": ("street", "city", "postal_code", "archived", "owner")}
Sides = dict[str, dict[str, Any]]


@pytest.fixture
def seed() -> str:
    return os.environ.get("NAVETTE_CHAOS_SEED") or str(random.randrange(1 << 30))


@pytest.fixture
def desk(tryton: TrytonServer, another: Session, seed: str) -> Iterator[Chaos]:
    """Those who edit there have another login than Navette, as docs/tryton.md asks for: of rows that one login makes
    nobody could tell which a lost answer was about, and a person would have to say."""
    with chaos(tryton, another, seed) as made:
        yield made


def test_thirty_edits_and_a_kill_of_each_leave_both_sides_in_step(desk: Chaos, seed: str) -> None:
    whirl(desk, seed, edits=30, kills=1, pause=0.3)


@pytest.mark.long
def test_five_hundred_edits_and_twenty_kills_of_each_leave_both_sides_in_step(desk: Chaos, seed: str) -> None:
    whirl(desk, seed, edits=500, kills=20, pause=0.6)


def whirl(desk: Chaos, seed: str, *, edits: int, kills: int, pause: float) -> None:
    chance = random.Random(seed)
    people = Edits(desk, chance)
    before = desk.sees("SELECT coalesce(max(id), 0) FROM sync.journal")[0][0]
    moments: dict[int, list[str]] = {}
    for whom in ("live", "tryton", "store"):
        for at in chance.sample(range(edits // 10, edits), kills):
            moments.setdefault(at, []).append(whom)
    print(f"seed {seed}: {edits} edits, {kills} kills of each")
    desk.start_live()
    for number in range(edits):
        desk.disturb()
        people.one()
        for whom in moments.get(number, ()):
            time.sleep(chance.uniform(0, 1.5))
            desk.kill(whom)
        time.sleep(chance.uniform(0, pause))
        if number % 5 == 0:
            people.learn()
    began = time.monotonic()
    desk.calm()
    rest(desk, people)
    print(f"seed {seed}: at rest after {time.monotonic() - began:.0f} s; the proxy saw {len(desk.proxy.seen)} requests")
    idle = [desk.sees("SELECT count(*) FROM sync.run")]
    while len(idle) < 10 and idle[-1:] != idle[-2:-1]:  # what was written last may still come back, once
        time.sleep(3)
        idle.append(desk.sees("SELECT count(*) FROM sync.run"))
    desk.end_live()
    try:
        assert idle[-1] == idle[-2], "reads without news leave runs behind"
        found = differences(people) + twice(people) + unaccounted(people, before) + left_over(desk)
        for flow in FLOWS:
            compared = json.loads(desk.command("reconcile", flow, "--json").stdout)
            found += [f"reconcile {flow}: {one}" for one in compared["differences"]]
        assert "Traceback" not in desk.log.read_text("utf-8"), desk.said()
        assert found == [], "\n".join([f"seed {seed}", *found])
    except AssertionError:
        print(told(desk))
        raise


def rest(desk: Chaos, people: Edits) -> None:
    """Waits until nothing is to be sent and both sides agree, twice in a row; conflicts are settled as a person would."""
    until, quiet = time.monotonic() + PATIENCE, 0
    while quiet < 2 and time.monotonic() < until:
        for (number,) in desk.sees("SELECT id FROM sync.conflict WHERE state = 'open'"):
            settled = desk.command("review", "conflict", str(number), "--ours")
            assert settled.returncode in (0, 4), settled.stdout + settled.stderr
        for (said,) in desk.sees("SELECT why->>'message' FROM sync.outbox WHERE state = 'refused'"):
            if SAME_NUMBER in (said or ""):  # somebody made a party at the same moment: what a person does who reads that
                desk.command("reconcile", "tryton_parties", "--repair")
        time.sleep(1)
        waits = desk.sees("SELECT 1 FROM sync.outbox UNION ALL SELECT 1 FROM sync.intent"
                          " WHERE state IN ('open', 'unclear')")
        quiet = 0 if waits or differences(people) else quiet + 1


# what both sides have


def here(desk: Chaos) -> dict[str, list[tuple[str, dict[str, Any]]]]:
    """By entity, each record's mark and its fields in the CRM."""
    companies = desk.sees("SELECT website, name, phone, email, archived_at IS NOT NULL FROM crm.company"
                          " WHERE website IS NOT NULL")
    addresses = desk.sees("SELECT a.name, a.street, a.city, a.postal_code, a.archived_at IS NOT NULL, c.website"
                          " FROM crm.address a JOIN crm.company c ON c.id = a.company WHERE a.name IS NOT NULL")
    return {entity: [(row[0], dict(zip(COMPARED[entity], row[1:] if entity == "company" else (
        row[1], row[2], row[3], row[4], row[5]), strict=True))) for row in rows]
        for entity, rows in (("company", companies), ("address", addresses))}


def there(desk: Chaos) -> dict[str, list[tuple[str, dict[str, Any]]]]:
    """The same, in Tryton."""
    parties = desk.there("party.party.search_read", [], 0, None, None,
                         ["name", "phone", "email", "website", "active"], active_test=False)
    sites = {row["id"]: row["website"] for row in parties}
    addresses = desk.there("party.address.search_read", [], 0, None, None, [
        "party_name", "street", "city", "postal_code", "active", "party"], active_test=False)
    return {
        "company": [(row["website"], {"name": row["name"], "phone": plain(row["phone"]), "email": row["email"],
                                      "archived": not row["active"]}) for row in parties if row["website"]],
        "address": [(row["party_name"], {"street": row["street"], "city": row["city"], "postal_code": row["postal_code"],
                                         "archived": not row["active"], "owner": sites[row["party"]]})
                    for row in addresses if row["party_name"]],
    }


def plain(phone: str | None) -> str | None:
    if not phone:
        return None
    return phonenumbers.format_number(phonenumbers.parse(phone, "FR"), phonenumbers.PhoneNumberFormat.E164)


# what must hold at rest


def differences(people: Edits) -> list[str]:
    """Records that one side lacks, fields on which they differ, and last edits that did not last."""
    crm, tryton = here(people.desk), there(people.desk)
    found = []
    for one in people.known.values():
        ours, theirs = dict(crm[one.entity]).get(one.mark), dict(tryton[one.entity]).get(one.mark)
        if ours is None or theirs is None:
            found.append(f"{one.mark} is missing {'in the CRM' if ours is None else 'in Tryton'}")
            continue
        found += [f"{one.mark} {name}: here {ours[name]!r}, there {theirs[name]!r}" for name in COMPARED[one.entity]
                  if ours[name] != theirs[name]]
    for (mark, name), edits in people.told.items():
        ours = dict(crm[people.known[mark].entity]).get(mark)
        if ours is not None and len({edit.side for edit in edits}) == 1 and ours.get(name, edits[-1].value) != edits[-1].value:
            found.append(f"{mark} {name}: only {edits[0].side} edited it, last to {edits[-1].value!r}: {ours[name]!r}")
    return found


def twice(people: Edits) -> list[str]:
    """Marks that a side has more than once."""
    return [f"{mark} is there {times} times in {where}"
            for where, side in (("the CRM", here(people.desk)), ("Tryton", there(people.desk))) for entity in ENTITIES
            for mark, times in Counter(mark for mark, _ in side[entity]).items() if times > 1]


def unaccounted(people: Edits, before: int) -> list[str]:
    """Edits without their line in the journal, and lines without their edit."""
    people.learn()
    desk, found = people.desk, []
    app, hub = desk.hub.store.roles.app, desk.hub.store.roles.hub
    lines = desk.sees("SELECT entity, record_id, op, system, author, run_id, new FROM sync.journal WHERE id > %s", before)
    by_people = Counter((entity, record, op, changed(new)) for entity, record, op, system, author, _, new in lines
                        if author == app and system is None)
    expected = Counter(people.in_crm)
    found += [f"not in the journal: {line}" for line in (expected - by_people).elements()]
    found += [f"nobody's edit: {line}" for line in (by_people - expected).elements()]
    by_hub = [line for line in lines if line[4] == hub and line[3] == "tryton" and line[5] is not None]
    found += [f"nobody's author: {line}" for line in lines if line not in by_hub and not (
        line[4] == app and line[3] is None)]
    marks = {(one.entity, one.record): one for one in people.known.values()}
    made = Counter((entity, record) for entity, record, op, *_ in by_hub if op == "create")
    found += [f"made {made[one.entity, one.record]} times by Tryton: {one}" for one in people.known.values()
              if made[one.entity, one.record] != (one.made == "tryton")]
    found += [f"made for nobody: {one}" for one in made if one not in marks]
    written: set[tuple[str, str, Any]] = set()
    for entity, record, op, _, _, _, new in by_hub:
        one = marks.get((entity, record))
        for name, value in changed(new) if op == "update" else ():
            if one is None or not came_from_tryton(people, one.mark, name, value):
                found.append(f"the hub gave {entity} {record} ({one and one.mark}) {name} {value!r}, which nobody did there")
            written.add((one.mark if one else "", name, value))
    lost = {(record, name, theirs) for record, name, theirs in desk.sees(
        "SELECT record_id, field, theirs #>> '{}' FROM sync.conflict WHERE winner = 'crm' OR decision IS NOT NULL")}
    for (mark, name), edits in people.told.items():
        last = edits[-1]
        if (people.known[mark].record, name, last.value) in lost:
            continue  # a conflict that the CRM won
        # what a record had when it came in is told by the line that made it
        came_in = people.known[mark].made == "tryton" and not any((mark, name) == line[:2] for line in written)
        if last.side == "tryton" and name != "archived" and not came_in and (mark, name, last.value) not in written:
            found.append(f"{mark} {name}: Tryton's last edit {last.value!r} is not in the journal")
    return found


def came_from_tryton(people: Edits, mark: str, name: str, value: Any) -> bool:
    return name in ("customer_code", "sequence") or name == MARK[people.known[mark].entity] or any(
        edit.side == "tryton" and edit.value == value for edit in people.told[mark, name])


def changed(new: dict[str, Any] | None) -> tuple[tuple[str, Any], ...]:
    """What a line of the journal says was set; when it was archived is the store's own."""
    return tuple(sorted(("archived", value is not None) if name == "archived_at" else (name, value)
                        for name, value in (new or {}).items()))


def left_over(desk: Chaos) -> list[str]:
    """Work that was begun and not ended."""
    return [f"{what}: {row}" for what, statement in (
        ("a marker", "SELECT record_id, state, why FROM sync.outbox"),
        ("an intent", "SELECT record_id, operation, state, key, code FROM sync.intent WHERE state IN ('open', 'unclear')"),
        ("a run", "SELECT id, flow, trigger, state FROM sync.run WHERE state IN ('landing', 'landed', 'applying')"),
        ("a held row", "SELECT key, outcome, code FROM sync.held WHERE state = 'open'"),
        ("staging", "SELECT tablename FROM pg_tables WHERE schemaname = 'staging'"),
    ) for row in desk.sees(statement)]


def told(desk: Chaos) -> str:
    """What there is, for the message of a failure."""
    lines = [desk.said()]
    for statement in (
        "SELECT id, entity, record_id, op, at::time, author, run_id, new FROM sync.journal ORDER BY id DESC LIMIT 200",
        "SELECT run_id, record_id, operation, key, state, code, message, at::time, answered_at::time, values"
        " FROM sync.intent ORDER BY id DESC LIMIT 100",
        "SELECT id, flow, trigger, state, problem, started_at::time FROM sync.run ORDER BY id DESC LIMIT 40",
        "SELECT run_id, record_id, field, base, ours, theirs, winner, state, at::time FROM sync.conflict ORDER BY id DESC",
        "SELECT flow, state, problem->>'message', count(*) FROM sync.run GROUP BY 1, 2, 3 ORDER BY 1, 2",
    ):
        lines += ["", statement, *map(str, desk.sees(statement))]
    return "\n".join(lines)
