"""Runs at the same time: one flow excludes itself, two flows end as if in sequence, a run leaves CRM users alone."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from mappings.errors import RetryLater
from pipelines.runs import applying
from pipelines.runs.lanes import Lanes
from pipelines.runs.lock import flow_lock
from pipelines.runs.result import RunResult
from pipelines.stages.decide import Matching
from pipelines.stages.turn import GATE, TURN
from tests.road_desk import OUTCOME_NAMES, Road, roads, told

FLOW = """
flow: {flow}
system: {system}
into:
  entity: company
  ids: {flow}
  key: CODE
  match: [siret]
  fields: {{name: NAME, siret: SIRET, notes: NOTES, source: SOURCE}}
"""
FLOWS = {
    "left": FLOW.format(flow="left", system="erp"),
    "right": FLOW.format(flow="right", system="cmms"),
    "named": FLOW.format(flow="named", system="cmms").replace("siret]", "registration]").replace("siret:", "registration:"),
    "contacts": """
flow: contacts
system: erp
into: {entity: contact, key: ID, fields: {last_name: NAME, company: {from: CODE, refers: {entity: company, ids: left}}}}
""",
}
module_road, road = roads(FLOWS)
HEAD = "CODE;NAME;SIRET;NOTES;SOURCE"


def siret(number: int) -> str:
    """A SIRET that is valid by its check digit."""
    siren = _checked(f"{10_000_000 + number}")
    return _checked(f"{siren}0001")


def _checked(digits: str) -> str:
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if place % 2 == 0 else 1)
        total += value - 9 if value > 9 else value
    return digits + str(-total % 10)


def row(number: int, *, name: str = "", notes: str = "", source: str = "") -> str:
    return f"{number};{name or f'Company {number}'};{siret(number)};{notes};{source}"


@contextmanager
def in_background(*works: Callable[[], Any]) -> Iterator[list[Future[Any]]]:
    with ThreadPoolExecutor(len(works)) as pool:
        yield [pool.submit(work) for work in works]


def waits_for_a_lock(road: Road, kind: str = "advisory") -> None:
    """Returns when some session of the hub waits for a lock of this kind."""
    for _ in range(600):
        found = road.owner("SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid)"
                           " WHERE NOT granted AND locktype = %s AND datname = current_database()", kind)
        if found[0][0]:
            return
        time.sleep(0.05)
    raise AssertionError("nobody waits")


def test_the_second_of_two_runs_of_a_flow_is_told_to_wait(road: Road) -> None:
    with flow_lock(road.hub, "left"), pytest.raises(RetryLater, match="another run of this flow is under way"):
        road.run("left", HEAD, row(1))
    assert road.names() == []
    road.run("left", HEAD, row(1))
    assert road.names() == ["Company 1"]


def test_two_flows_that_bring_the_same_companies_at_once_make_each_once(road: Road, monkeypatch: Any) -> None:
    monkeypatch.setattr(applying, "BATCH_ROWS", 50)
    lines = [row(number) for number in range(300)]
    meet = threading.Barrier(2)

    def run(flow: str, order: list[str]) -> dict[str, int]:
        meet.wait()
        return told(road.run(flow, HEAD, *order))

    with in_background(lambda: run("left", lines), lambda: run("right", lines[::-1])) as both:
        counts = [future.result() for future in both]
    assert len(road.names()) == 300
    assert sum(one.get("created", 0) for one in counts) == 300
    assert [sum(one.get(name, 0) for name in OUTCOME_NAMES) for one in counts] == [300, 300]
    shared = "SELECT count(*) FROM (SELECT record_id FROM sync.crosswalk_company GROUP BY 1 HAVING count(*) = 2) x"
    assert road.one(shared) == 300


def test_what_another_run_makes_while_this_one_waits_for_its_turn_is_found(road: Road) -> None:
    """Run A has decided to create; B, which holds the turn, creates the same company; A must link to it."""
    with road.store.connect(road.store.roles.hub) as other:
        other.execute("SELECT pg_advisory_xact_lock(%s, hashtext('crm.company'))", [GATE])
        with in_background(lambda: told(road.run("left", HEAD, row(1), row(2)))) as [run]:
            waits_for_a_lock(road)
            other.execute("INSERT INTO crm.company (name, siret) VALUES ('Company 1', %s)", [siret(1)])
            other.commit()
            assert run.result() == {"created": 1, "unchanged": 1}
    assert road.names() == ["Company 1", "Company 2"]


def test_a_company_that_a_user_makes_during_a_first_load_is_found(road: Road, monkeypatch: Any) -> None:
    """Into an empty entity every row is new, and none is looked up: one of them is made while they are landed."""
    monkeypatch.setattr("pipelines.stages.land.PAGE_ROWS", 20)
    asked: list[bool | None] = []
    match = Matching.__call__

    def matched(self: Matching, connection: Any, low: int, high: int) -> None:
        match(self, connection, low, high)
        if not asked:
            with psycopg.connect(road.store.crm_url, autocommit=True) as user:
                user.execute("INSERT INTO crm.company (name, siret) VALUES ('Company 30', %s)", [siret(30)])
        asked.append(self.all_new)

    monkeypatch.setattr(Matching, "__call__", matched)
    assert told(road.run("left", HEAD, *[row(number) for number in range(60)])) == {"created": 59, "unchanged": 1}
    assert len(road.names()) == len(set(road.names())) == 60
    assert asked == [True] * 3
    assert told(road.run("right", HEAD, *[row(number) for number in range(61)])) == {"created": 1, "unchanged": 60}
    assert asked[3:] == [False] * 4


def test_a_lane_waits_for_another_s_creates_and_the_run_goes_on_by_what_they_left(road: Road, monkeypatch: Any) -> None:
    """Run A would create in two lanes; B, which has the turn, makes one of the companies before A's gate closes."""
    monkeypatch.setattr(applying, "BATCH_ROWS", 20)
    with road.store.connect(road.store.roles.hub) as other:
        other.execute("SELECT pg_advisory_xact_lock(%s, hashtext('crm.company'))", [TURN])
        with in_background(lambda: told(road.run("left", HEAD, *[row(number) for number in range(60)]))) as [run]:
            waits_for_a_lock(road)
            other.execute("INSERT INTO crm.company (name, siret) VALUES ('Company 30', %s)", [siret(30)])
            other.commit()
            assert run.result() == {"created": 59, "unchanged": 1}
    assert len(road.names()) == len(set(road.names())) == 60


def test_who_would_create_waits_for_a_lane_whose_run_is_gone(road: Road) -> None:
    """Run A was killed: its gate is open again, but a lane's COMMIT is on its way. B must find what the lane made."""
    with road.store.connect(road.store.roles.hub) as lane:
        lane.execute("SELECT pg_advisory_xact_lock_shared(%s, hashtext('crm.company'))", [TURN])
        with in_background(lambda: told(road.run("left", HEAD, row(1), row(2)))) as [run]:
            waits_for_a_lock(road)
            lane.execute("INSERT INTO crm.company (name, siret) VALUES ('Company 1', %s)", [siret(1)])
            lane.commit()
            assert run.result() == {"created": 1, "unchanged": 1}
    assert road.names() == ["Company 1", "Company 2"]


def test_two_flows_that_create_the_same_companies_in_lanes_make_each_once(road: Road, monkeypatch: Any) -> None:
    monkeypatch.setattr(applying, "BATCH_ROWS", 30)
    lines = [row(number) for number in range(400)]
    for turn in range(3):
        mine = lines[turn * 100:turn * 100 + 200]
        meet = threading.Barrier(2)

        def run(flow: str, order: list[str], meet: threading.Barrier = meet) -> RunResult:
            meet.wait()
            return road.run(flow, HEAD, *order)

        with in_background(lambda mine=mine: run("left", mine), lambda mine=mine: run("right", mine[::-1])) as both:
            assert [future.result().state for future in both] == ["done", "done"]
        assert len(road.names()) == len(set(road.names())) == turn * 100 + 200


def test_a_run_killed_between_two_lanes_goes_on_with_the_one_that_is_missing(road: Road, monkeypatch: Any) -> None:
    """The first batch of a round dies with its process, another one commits, and of those that are left none is begun:
    the gate opens when the process ends. The ranges that are missing are gaps in the cursor."""

    class Killed(BaseException):
        pass

    alive, begun, second = Lanes._lane, list[int](), threading.Event()

    def dying(self: Lanes, low: int, high: int, journal: int) -> Any:
        begun.append(low)
        if low == 0:
            assert second.wait(10)
            raise Killed
        second.set()
        time.sleep(0.5)  # for whoever waits for the first to hear of it
        return alive(self, low, high, journal)

    monkeypatch.setattr(applying, "BATCH_ROWS", 20)
    lines = [row(number) for number in range(70)]
    with monkeypatch.context() as patched:
        patched.setattr(Lanes, "_lane", dying)
        with pytest.raises(Killed):
            road.run("left", HEAD, *lines, name="killed.csv")
    assert 60 not in begun
    [(at, beyond)] = road.hub_sees("SELECT cursor->'row', cursor->'beyond' FROM sync.run ORDER BY id DESC LIMIT 1")
    assert at == 0
    assert beyond[0] == [20, 40]
    assert road.one("SELECT count(*) FROM crm.company") == 20 * len(beyond)
    assert told(road.run("left", HEAD, *lines, name="killed.csv")) == {"created": 70}
    assert len(road.names()) == len(set(road.names())) == 70


def test_of_two_lanes_the_one_that_is_refused_is_done_again_row_by_row(road: Road, monkeypatch: Any) -> None:
    """Row 7 breaks a rule of the company's own: its lane is undone, the other one's batch stands, and is not repeated."""
    monkeypatch.setattr(applying, "BATCH_ROWS", 20)
    for refused in (7, 27, 47):
        road.owner("ALTER TABLE crm.company DROP CONSTRAINT IF EXISTS lucky")
        road.owner(f"ALTER TABLE crm.company ADD CONSTRAINT lucky CHECK (name <> '{refused} T{refused}X')")
        lines = [row(100 * refused + number, name=f"{refused} T{number}X") for number in range(50)]
        assert told(road.run("left", HEAD, *lines)) == {"created": 49, "rejected": 1}
        assert road.one("SELECT count(*) FROM crm.company WHERE name LIKE %s", f"{refused} T%") == 49
    road.owner("ALTER TABLE crm.company DROP CONSTRAINT lucky")


def test_a_crm_edit_between_decision_and_apply_is_not_overwritten(road: Road) -> None:
    """The run has decided to take the file's notes; a user changes them before it has locked the record."""
    road.run("left", HEAD, row(1, notes="base"))
    with psycopg.connect(road.store.crm_url) as user:
        user.execute("UPDATE crm.company SET notes = 'user' WHERE name = 'Company 1'")
        with in_background(lambda: told(road.run("left", HEAD, row(1, notes="file")))) as [run]:
            waits_for_a_lock(road, "transactionid")
            user.commit()
            assert run.result() == {"review": 1, "conflicts": 1}
    assert road.companies("notes") == [("user",)]


def test_two_flows_that_change_the_same_records_in_opposite_order_both_end(road: Road, monkeypatch: Any) -> None:
    monkeypatch.setattr(applying, "BATCH_ROWS", 40)
    numbers = range(200)
    for flow in ("left", "right"):
        road.run(flow, HEAD, *[row(number, source="base") for number in numbers])
    for turn in range(3):
        files = {"left": [row(n, name=f"L{turn} {n}", source="base") for n in numbers],
                 "right": [row(n, source=f"R{turn} {n}") for n in reversed(numbers)]}
        works = [lambda flow=flow, lines=lines: road.run(flow, HEAD, *lines) for flow, lines in files.items()]
        with in_background(*works) as both:
            states = [future.result().state for future in both]
        assert states == ["done", "done"]
    assert {source for (source,) in road.companies("source")} == {f"R2 {n}" for n in numbers}
    assert {name for (name,) in road.companies("name")} == {f"L2 {n}" for n in numbers}


def test_a_run_beside_crm_users_loses_neither_s_work(road: Road, monkeypatch: Any) -> None:
    monkeypatch.setattr(applying, "BATCH_ROWS", 50)
    road.run("left", HEAD, *[row(number, notes="base") for number in range(200)])
    stop, faults, edits = threading.Event(), [], dict[int, int]()

    def user(share: int) -> None:
        with psycopg.connect(road.store.crm_url, autocommit=True) as connection:
            number = share
            while not stop.is_set():
                edits[number] = edits.get(number, 0) + 1
                try:
                    connection.execute("UPDATE crm.company SET city = %s WHERE siret = %s",
                                       [str(edits[number]), siret(number)])
                except psycopg.Error as fault:
                    faults.append(fault)
                    return
                number = (number + 2) % 200

    with in_background(lambda: user(0), lambda: user(1)):
        try:
            for turn in range(4):
                lines = [row(number, notes=f"file {turn}") for number in range(200)]
                assert told(road.run("left", HEAD, *lines)) == {"updated": 200}
        finally:
            stop.set()
    assert faults == []
    found = dict(road.hub_sees("SELECT siret, city FROM crm.company"))
    assert {number: found[siret(number)] for number in edits} == {number: str(last) for number, last in edits.items()}
    assert {notes for (notes,) in road.companies("notes")} == {"file 3"}


def test_a_run_ends_well_when_the_flow_of_rows_that_wait_for_it_is_busy(road: Road) -> None:
    road.run("contacts", "ID;NAME;CODE", "1;Martin;7")
    with flow_lock(road.hub, "contacts"):
        assert told(road.run("left", HEAD, row(7))) == {"created": 1}
    assert road.held() == [("parked", "1", "waits_for")]
    road.run("left", HEAD, row(8))
    assert (road.held(), road.one("SELECT count(*) FROM crm.contact")) == ([], 1)


def test_a_batch_that_a_killed_process_had_told_to_commit_is_waited_for(road: Road) -> None:
    """The old process is dead, its COMMIT is on its way: the next one must not read the cursor before it is there."""
    from pipelines.runs.unfinished import finish_unfinished

    done = road.run("left", HEAD, row(1))
    with road.store.connect(road.store.roles.hub) as dying:
        road.hub_sees("UPDATE sync.run SET state = 'applying' WHERE id = %s", done.run_id)
        dying.execute("UPDATE sync.run SET cursor = jsonb_set(cursor::jsonb, '{phase}', '\"absent\"') WHERE id = %s",
                      [done.run_id])
        with in_background(lambda: finish_unfinished(road.hub, road.hub.flow("left"), lambda *_: None)) as [carried]:
            waits_for_a_lock(road, "transactionid")
            dying.commit()
            carried.result()


def test_single_edits_and_then_a_batch_in_one_session_stay_set_based(road: Road) -> None:
    """The journal's trigger keeps its plan for the session: one made for single edits must not judge 20,000 rows."""
    numbers = range(20_000)
    road.run("left", HEAD, *[f"{number};Company {number};;base;" for number in numbers])
    with road.store.connect(road.store.roles.hub, autocommit=True) as session:
        for number in range(10):
            session.execute("UPDATE crm.company SET city = 'Lille' WHERE name = %s", [f"Company {number}"])
        session.execute("SET statement_timeout = '60s'")
        session.execute("UPDATE crm.company SET city = 'Roubaix'")
    assert road.one("SELECT count(*) FROM sync.journal WHERE op = 'update'") == 20_010


def test_candidates_are_found_by_index_however_many_records_there_are(road: Road) -> None:
    """Rows looked at, not seconds: the first few in the order of ids must not be sought through the whole table."""
    looked = "SELECT coalesce(sum(idx_tup_read), 0) + (SELECT coalesce(sum(seq_tup_read), 0) FROM pg_stat_user_tables" \
             " WHERE relname = 'company') FROM pg_stat_user_indexes WHERE relname = 'company'"
    road.crm("INSERT INTO crm.company (name, registration) SELECT 'Company ' || n, 'R' || n"
             " FROM generate_series(1, 20000) n")
    _all_told(road)
    before = road.one(looked)
    assert told(road.run("named", HEAD, *[f"{n};Company {n};R{n};;" for n in range(1, 101)])) == {"unchanged": 100}
    _all_told(road)
    assert 0 < road.one(looked) - before < 100 * 100


def _all_told(road: Road) -> None:
    """A session tells the statistics what it did when it ends: waits until all others have ended."""
    road.store.let_go()
    others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()" \
             " AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
    for _ in range(200):
        if not road.one(others):
            return
        time.sleep(0.05)
    raise AssertionError("sessions that never end")
