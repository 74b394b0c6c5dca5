"""Live: edits on all sides arrive by themselves, also after what carries them was cut, and nothing moves at rest."""

from __future__ import annotations

import os
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import count
from threading import Event, Thread
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner

from connectors.page import PAGE_ROWS, Page
from connectors.remote import RemoteDown
from connectors.sql.source import SqlSource
from mappings.errors import NavetteError, RetryLater
from pipelines.cli import status
from pipelines.cli.app import app
from pipelines.ops.systems import preparations
from pipelines.runs import patience
from pipelines.runs.intake import rebase_flow, run_flow
from pipelines.runs.live import keep_live
from pipelines.runs.lock import flow_lock
from pipelines.runs.patience import patient
from pipelines.runs.pushing import push_flow
from pipelines.runs.reconcile import reconcile_flow
from pipelines.runs.standing import pause, resume
from tests.both_ways_desk import SIRETS, Both, both

__all__ = ["both"]

status.register(app)
PATIENCE = 60.0  # seconds until a test gives up on an arrival; none is expected to take so long


@contextmanager
def living(both: Both) -> Iterator[list[tuple[str, Counter[str]]]]:
    """Both systems are kept live while the block runs; gives what the loops told."""
    stop, told, failures = Event(), list[tuple[str, Counter[str]]](), list[NavetteError]()

    def keep(system: str) -> None:
        try:
            keep_live(both.hub, system, stop, lambda flow, counts: told.append((flow, counts)))
        except NavetteError as error:
            failures.append(error)

    threads = [Thread(target=keep, args=(system,)) for system in both.hub.project.live_systems]
    for thread in threads:
        thread.start()
    try:
        yield told
    finally:
        stop.set()
        for thread in threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()
    assert failures == []


def eventually(question: Callable[[], object], answer: object) -> None:
    deadline = time.monotonic() + PATIENCE
    while (seen := question()) != answer and time.monotonic() < deadline:
        time.sleep(0.05)
    assert seen == answer


def problems(told: list[tuple[str, Counter[str]]]) -> list[str]:
    return [what for _, counts in told for what in counts if what.startswith("problem")]


def filled(both: Both) -> None:
    for number, siret in enumerate(SIRETS, 1):
        both.erp("INSERT INTO customer (name, siret, city) VALUES (%s, %s, %s)", f"Company {number}", siret, "Nowhere")


def test_edits_on_every_side_arrive_on_the_others(both: Both) -> None:
    filled(both)
    with living(both):
        eventually(lambda: both.books.one("SELECT count(*) FROM debtor"), len(SIRETS))
        both.crm("UPDATE crm.company SET city = 'Lyon' WHERE siret = %s", SIRETS[0])
        both.erp("UPDATE customer SET name = 'Renamed' WHERE siret = %s", SIRETS[1])
        both.books("UPDATE debtor SET credit = 321 WHERE siret = %s", SIRETS[2])
        eventually(lambda: both.erp.one("SELECT city FROM customer WHERE siret = %s", SIRETS[0]), "Lyon")
        eventually(lambda: both.books.one("SELECT town FROM debtor WHERE siret = %s", SIRETS[0]), "Lyon")
        eventually(lambda: both.books.one("SELECT label FROM debtor WHERE siret = %s", SIRETS[1]), "Renamed")
        eventually(lambda: both.erp.one("SELECT credit FROM customer WHERE siret = %s", SIRETS[2]), 321)
        eventually(both.outbox, [])
    before = (both.erp.writes(), both.books.writes(), both.one("SELECT count(*) FROM sync.journal"))
    both.rounds(2)
    assert (both.erp.writes(), both.books.writes(), both.one("SELECT count(*) FROM sync.journal")) == before


def test_a_live_flow_that_check_refuses_says_so_and_the_others_go_on(both: Both) -> None:
    both.change_flow("books", "currency: EUR", "currency: Doubloon")
    filled(both)
    with living(both) as told:
        eventually(lambda: both.one("SELECT count(*) FROM crm.company"), len(SIRETS))
        eventually(lambda: [flow for flow, counts in told if "'Doubloon' is no currency" in str(counts)][:1],
                   ["books_companies"])
    assert both.books.one("SELECT count(*) FROM debtor") == 0


@pytest.mark.parametrize("own", [0, 3])
def test_rows_that_live_has_just_made_are_there_when_it_reads_everything(both: Both, own: int) -> None:
    """The first read is of everything, and comes behind the first push: what that wrote is not gone."""
    both.change_flow("books", "  match: [siret]\n", "  match: [siret]\n  absent: unlink\n")
    both.crm("INSERT INTO crm.company (name, city, type) SELECT 'Co ' || n, 'Lyon', 'customer' FROM generate_series(1, 5) n")
    both.books("INSERT INTO debtor (label, town) SELECT 'Own ' || n, 'Nancy' FROM generate_series(1, %s) n", own)
    with living(both):
        eventually(lambda: both.books.one("SELECT count(*) FROM debtor"), 5 + own)
        whole = "SELECT count(*) FROM sync.run WHERE flow = 'books_companies' AND \"full\" AND ended_at IS NOT NULL"
        eventually(lambda: both.one(whole) > 0, True)
    assert both.sees("SELECT count(*) FROM sync.run WHERE state = 'review'") == [(0,)]
    assert both.sees("SELECT count(*), count(absent_since) FROM sync.crosswalk_company x JOIN sync.feed f ON f.id = x.feed"
                     " WHERE f.flow = 'books_companies'") == [(5 + own, 0)]


@pytest.mark.slow
def test_commands_have_their_turn_beside_live_at_work(both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "LONGEST", 600.0)  # they queue, however slow the machine is; who only tries starves
    filled(both)
    over = Event()

    def editing() -> None:
        for number in count():
            if over.wait(0.1):
                return
            both.crm("UPDATE crm.company SET city = %s WHERE siret = %s", f"City {number}", SIRETS[number % 2])
            both.erp("UPDATE customer SET name = %s WHERE siret = %s", f"Name {number}", SIRETS[2])

    with living(both) as told:
        eventually(lambda: both.books.one("SELECT count(*) FROM debtor"), len(SIRETS))
        edits = Thread(target=editing)
        edits.start()
        try:
            with patient(lambda _: None):
                for command in (rebase_flow, reconcile_flow, run_flow, push_flow):
                    command(both.hub, "erp_companies")
        finally:
            over.set()
            edits.join()
        eventually(both.outbox, [])
    assert problems(told) == []


def test_a_flow_that_a_command_holds_is_no_problem_and_goes_on_after_it(both: Both) -> None:
    filled(both)
    with living(both) as told:
        eventually(lambda: both.books.one("SELECT count(*) FROM debtor"), len(SIRETS))
        with patient(lambda _: None), flow_lock(both.hub, "erp_companies"):
            both.crm("UPDATE crm.company SET city = 'Lyon' WHERE siret = %s", SIRETS[0])
            both.erp("UPDATE customer SET email = 'a@b.fr' WHERE siret = %s", SIRETS[1])
            eventually(lambda: both.books.one("SELECT town FROM debtor WHERE siret = %s", SIRETS[0]), "Lyon")
            time.sleep(1.5)  # in which live comes to it, and finds it held
        eventually(lambda: both.erp.one("SELECT city FROM customer WHERE siret = %s", SIRETS[0]), "Lyon")
        eventually(lambda: both.one("SELECT email FROM crm.company WHERE siret = %s", SIRETS[1]), "a@b.fr")
    assert problems(told) == []


def test_what_reconcile_leaves_to_the_next_read_live_takes_in(both: Both) -> None:
    """A change that no read of changes finds: its stamp did not move."""
    filled(both)
    unseen = "UPDATE customer SET name = %s, changed_at = '2020-01-01' WHERE siret = %s"
    with living(both):
        eventually(lambda: both.books.one("SELECT count(*) FROM debtor"), len(SIRETS))
        eventually(both.outbox, [])
        for number in range(2):
            both.erp("ALTER TABLE customer DISABLE TRIGGER tidy")
            both.erp(unseen, f"Unseen {number}", SIRETS[number])
            both.erp("ALTER TABLE customer ENABLE TRIGGER tidy")
            with patient(lambda _: None):
                found = reconcile_flow(both.hub, "erp_companies", repair=True)
            assert (found.totals, found.taken) == ({"newer_there": 1}, 1)
            eventually(lambda number=number: both.books.one(
                "SELECT label FROM debtor WHERE siret = %s", SIRETS[number]), f"Unseen {number}")
        both.erp("UPDATE customer SET city = 'Lyon' WHERE siret = %s", SIRETS[2])
        eventually(lambda: both.books.one("SELECT town FROM debtor WHERE siret = %s", SIRETS[2]), "Lyon")
    full = "SELECT count(*) FROM sync.run WHERE flow = 'erp_companies' AND \"full\" AND trigger = 'live'"
    assert both.one(full) == 3, "the first time, and once after each repair"


def test_an_edit_is_taken_in_behind_one_whose_clock_was_ahead(both: Both) -> None:
    both.change_flow("books", "changed_since: changed_at", "changed_since: changed_at, stamp: changed_at")
    both.books("INSERT INTO debtor (label, siret, town) VALUES ('One', %s, 'Lyon')", SIRETS[0])
    town = "SELECT city FROM crm.company"
    with living(both):
        eventually(lambda: both.one(town), "Lyon")
        both.books("ALTER TABLE debtor DISABLE TRIGGER touch;"
                   " UPDATE debtor SET town = 'Ahead', changed_at = clock_timestamp() + interval '1 hour';"
                   " ALTER TABLE debtor ENABLE TRIGGER touch")
        eventually(lambda: both.one(town), "Ahead")
        both.books("UPDATE debtor SET town = 'Right'")
        eventually(lambda: both.one(town), "Right")
    assert both.one("SELECT sum(superseded)::int FROM sync.run_into") == 0


def test_a_read_without_news_leaves_no_run_behind(both: Both) -> None:
    filled(both)
    with living(both):
        eventually(lambda: both.books.one("SELECT count(*) FROM debtor"), len(SIRETS))
        eventually(both.outbox, [])
        time.sleep(1.5)  # what was written comes back with the next polls
        runs = both.one("SELECT count(*) FROM sync.run")
        polls = both.one("SELECT count(*) FROM sync.run") - runs
        time.sleep(1.5)
        assert both.one("SELECT count(*) FROM sync.run") - runs - polls == 0


def test_live_goes_on_after_every_connection_was_cut(both: Both, server) -> None:
    filled(both)
    with living(both):
        eventually(lambda: both.books.one("SELECT count(*) FROM debtor"), len(SIRETS))
        for number in range(3):
            with server.superuser("postgres") as admin:
                admin.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = ANY (%s)"
                    " AND pid <> pg_backend_pid()", [[both.store.database, "out_erp", "out_books"]])
            both.crm("UPDATE crm.company SET city = %s WHERE siret = %s", f"City {number}", SIRETS[number])
            both.erp("UPDATE customer SET name = %s WHERE siret = %s", f"Name {number}", SIRETS[number])
        for number in range(3):
            eventually(lambda number=number: both.erp(
                "SELECT name, city FROM customer WHERE siret = %s", SIRETS[number]),
                [(f"Name {number}", f"City {number}")])
            eventually(lambda number=number: both.books(
                "SELECT label, town FROM debtor WHERE siret = %s", SIRETS[number]),
                [(f"Name {number}", f"City {number}")])
    assert both.erp.one("SELECT count(*) FROM customer") == len(SIRETS)
    assert both.books.one("SELECT count(*) FROM debtor") == len(SIRETS)


def test_what_was_read_before_a_read_broke_off_is_read_again(both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(both)
    pages, broken = SqlSource.pages, list[int]()

    def breaking(source: SqlSource, rows: int = PAGE_ROWS) -> Iterator[Page]:
        for page in pages(source, rows):
            yield page
            if len(page) and "name" in page.frame and "Edited" in set(page.frame["name"]) and not broken:
                broken.append(len(page))
                raise RemoteDown("cut off")

    with living(both):
        eventually(lambda: both.books.one("SELECT count(*) FROM debtor"), len(SIRETS))
        eventually(both.outbox, [])
        monkeypatch.setattr(SqlSource, "pages", breaking)
        both.erp("UPDATE customer SET name = 'Edited' WHERE siret = %s", SIRETS[0])
        eventually(lambda: both.books.one("SELECT label FROM debtor WHERE siret = %s", SIRETS[0]), "Edited")
    assert len(broken) == 1


def test_only_one_process_keeps_a_system_live(both: Both) -> None:
    filled(both)
    with living(both):
        eventually(lambda: both.books.one("SELECT count(*) FROM debtor"), len(SIRETS))
        with pytest.raises(RetryLater, match="another process keeps this system live"):
            keep_live(both.hub, "erp", Event(), lambda *_: None)


def test_people_see_who_keeps_a_system_live(both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.hub.open_hub", lambda *_: both.hub)

    def told() -> list[tuple[Any, ...]]:
        seen = orjson.loads(CliRunner().invoke(app, ["status", "--json"]).stdout)["live"]
        return [(one["system"], one["led"], one["pid"], one["host"], one["epoch"]) for one in seen]

    here = (os.getpid(), socket.gethostname())
    assert told() == [(name, False, None, None, None) for name in ("books", "erp")]
    for epoch in (1, 2):
        with living(both):
            eventually(told, [(name, True, *here, epoch) for name in ("books", "erp")])
            shown = " ".join(CliRunner().invoke(app, ["status"]).stdout.split())
            assert f"erp is kept live by process {here[0]} on {here[1]}, since " in shown
        eventually(told, [(name, False, None, None, epoch) for name in ("books", "erp")])
    shown = " ".join(CliRunner().invoke(app, ["status"]).stdout.split())
    assert "erp is kept live by nobody; somebody did last from " in shown


def test_what_changes_while_a_system_is_paused_arrives_when_it_is_resumed(both: Both) -> None:
    filled(both)
    with living(both) as told:
        eventually(lambda: both.books.one("SELECT count(*) FROM debtor"), len(SIRETS))
        pause(both.hub, "books", "moving")
        both.crm("UPDATE crm.company SET city = 'Paused' WHERE siret = %s", SIRETS[0])
        eventually(lambda: both.erp.one("SELECT city FROM customer WHERE siret = %s", SIRETS[0]), "Paused")
        assert both.books.one("SELECT town FROM debtor WHERE siret = %s", SIRETS[0]) != "Paused"
        eventually(lambda: problems(told), ["problem: the system is paused: moving"])
        resume(both.hub, "books")
        eventually(lambda: both.books.one("SELECT town FROM debtor WHERE siret = %s", SIRETS[0]), "Paused")
    assert problems(told) == ["problem: the system is paused: moving", "problem over: the system is paused: moving"]


def test_what_the_guard_stops_is_told_and_waits_for_a_person(both: Both) -> None:
    both.erp("INSERT INTO customer (name, city) SELECT 'C' || n, 'X' FROM generate_series(1, 30) n")
    both.change_flow("erp", "write:", "guard: {updates: 20%}\nwrite:")
    both.run("erp_companies")
    pushes = "SELECT count(*) FROM sync.run WHERE flow = 'erp_companies' AND source = 'outbox'"
    with living(both) as told:
        before = both.one(pushes)
        both.crm("UPDATE crm.company SET city = 'Lyon'")
        eventually(lambda: problems(told),
                   ["problem: erp_companies: nothing was sent: company: 30 records would change there, beside 30 known;"
                    " the guard allows 20%. navette push erp_companies --approve sends it."])
        for number in range(4):  # as many turns go by, or more
            both.erp("UPDATE customer SET email = %s WHERE name = 'C1'", f"c{number}@example.org")
            eventually(lambda: both.one("SELECT email FROM crm.company WHERE name = 'C1'"), f"c{number}@example.org")
        assert (both.one(pushes), len(problems(told))) == (before + 1, 1)
    assert both.erp.one("SELECT count(*) FROM customer WHERE city = 'Lyon'") == 0


def test_a_system_that_is_paused_is_not_listened_to(both: Both, server: Any) -> None:
    assert all(one.done for one in preparations(both.hub, "books", run=True))

    def ears() -> int:
        with closing(server.superuser("postgres")) as admin:
            row = admin.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = 'out_books'"
                                " AND application_name = 'navette listen'").fetchone()
            return int(row[0])

    with living(both):
        eventually(ears, 1)
        pause(both.hub, "books", "moving")
        eventually(ears, 0)
        resume(both.hub, "books")
        eventually(ears, 1)


def test_a_system_that_refuses_the_login_waits_for_a_person_and_the_others_go_on(both: Both, server: Any) -> None:
    filled(both)
    with closing(server.superuser("postgres")) as admin, living(both) as told:
        eventually(lambda: both.books.one("SELECT count(*) FROM debtor"), len(SIRETS))
        admin.execute("ALTER ROLE out_books NOLOGIN")
        try:
            admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'out_books'")
            eventually(lambda: both.one("SELECT state FROM sync.system_state WHERE system = 'books'"), "paused")
            both.crm("UPDATE crm.company SET city = 'Lyon' WHERE siret = %s", SIRETS[0])
            eventually(lambda: both.erp.one("SELECT city FROM customer WHERE siret = %s", SIRETS[0]), "Lyon")
        finally:
            admin.execute("ALTER ROLE out_books LOGIN")
        resume(both.hub, "books")
        eventually(lambda: both.books.one("SELECT town FROM debtor WHERE siret = %s", SIRETS[0]), "Lyon")
    assert sum("refused the login" in what for what in problems(told)) == 2, "when it began, and when it was over"


def test_a_database_that_is_closed_or_away_for_a_while_is_tried_again_by_itself(both: Both, server: Any) -> None:
    filled(both)
    why = "SELECT why FROM sync.system_state WHERE system = 'books' AND state = 'down'"
    with closing(server.superuser("postgres")) as admin, living(both) as told:
        eventually(lambda: both.books.one("SELECT count(*) FROM debtor"), len(SIRETS))
        admin.execute("ALTER DATABASE out_books ALLOW_CONNECTIONS false")
        admin.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = 'out_books'")
        eventually(lambda: "not currently accepting connections" in str(both.one(why)), True)
        admin.execute("ALTER DATABASE out_books RENAME TO out_books_away")
        try:
            eventually(lambda: any("no such database" in what for what in problems(told)), True)
        finally:
            admin.execute("ALTER DATABASE out_books_away RENAME TO out_books")
            admin.execute("ALTER DATABASE out_books ALLOW_CONNECTIONS true")
        both.crm("UPDATE crm.company SET city = 'Lyon' WHERE siret = %s", SIRETS[0])
        eventually(lambda: both.books.one("SELECT town FROM debtor WHERE siret = %s", SIRETS[0]), "Lyon")


def test_a_system_without_live_flows_is_refused(both: Both) -> None:
    with pytest.raises(NavetteError, match="no flow of this system is live"):
        keep_live(both.hub, "nobody", Event(), lambda *_: None)
