"""What changed since, by stamps and by change table, with transactions of others open, late and out of order."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from connectors.remote import Change, Position, Resource
from connectors.sql import changed
from mappings.errors import ConfigurationError
from mappings.messages import noticed
from tests.contract.sql_desk import DEBTOR, Books, books, debtors, read, told, whole

__all__ = ["books"]

STAMPED = debtors(changed="updated_at", overlap=0.0)
LONG_AGO = "INSERT INTO debtor (code, name, updated_at) SELECT 'OLD' || n, 'x', now() - interval '1 day' FROM generate_series(1, 3) n"
OLD = ["OLD1", "OLD2", "OLD3"]


def see_everyone(books: Books) -> None:
    books.admin.execute(f"GRANT pg_read_all_stats TO {books.role}")


def test_a_read_by_stamp_brings_what_changed_and_little_more(books: Books) -> None:
    books.make(DEBTOR, LONG_AGO)
    see_everyone(books)
    remote = books.remote()
    keys, start, _ = read(remote, STAMPED)
    assert keys == OLD
    books.admin.execute("UPDATE debtor SET city = 'Lille', updated_at = now() WHERE code = 'OLD2'")
    keys, after, gone = read(remote, STAMPED, start)
    assert ("OLD2" in keys, gone) == (True, [])
    books.admin.execute("UPDATE debtor SET updated_at = now() - interval '2 days' WHERE code <> 'OLD2'")
    books.admin.execute("INSERT INTO debtor (code, name) VALUES ('NEW', 'x')")
    keys, _, _ = read(remote, STAMPED, after)
    assert "NEW" in keys
    assert "OLD1" not in keys


def test_the_overlap_goes_back_behind_the_mark(books: Books) -> None:
    books.make(DEBTOR, LONG_AGO)
    remote = books.remote()
    _, start, _ = read(remote, STAMPED)
    books.admin.execute("INSERT INTO debtor (code, name, updated_at) VALUES ('LATE', 'x', now() - interval '1 day 100 seconds')")
    assert "LATE" not in read(remote, STAMPED, start)[0]
    assert "LATE" in read(remote, debtors(changed="updated_at", overlap=101.0), start)[0]


@pytest.mark.parametrize("kind", ["timestamptz", "timestamp"])
def test_a_transaction_that_was_open_longer_than_the_overlap_loses_nothing(
    books: Books, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changed, "_MARGIN", "0 seconds")  # or the test would have to wait for a second to pass
    books.make(DEBTOR, f"ALTER TABLE debtor ALTER updated_at TYPE {kind}", LONG_AGO)
    see_everyone(books)
    remote = books.remote()
    _, start, _ = read(remote, STAMPED)
    late = books.session()
    late.execute("SELECT 1")  # it began; nothing is written yet
    books.admin.execute("INSERT INTO debtor (code, name, updated_at) VALUES ('SOON', 'x', clock_timestamp())")
    keys, between, _ = read(remote, STAMPED, start)
    assert "SOON" in keys
    late.execute("INSERT INTO debtor (code, name, updated_at) VALUES ('LATE', 'x', now())")  # its stamp is the beginning
    late.commit()
    keys = read(remote, STAMPED, between)[0]
    assert "LATE" in keys
    assert "OLD1" not in keys


def test_sessions_that_are_hidden_leave_the_overlap_and_are_told(books: Books) -> None:
    books.make(DEBTOR, LONG_AGO)
    remote = books.remote()
    late = books.session()
    late.execute("INSERT INTO debtor (code, name) VALUES ('LATE', 'x')")
    books.admin.execute("INSERT INTO debtor (code, name, updated_at) VALUES ('SOON', 'x', clock_timestamp())")
    source = remote.read(STAMPED, None)
    whole(source)
    assert noticed([{"code": code, "params": params} for code, params in source.notices.items()]) == [
        "what other sessions have open is hidden: only the overlap catches late commits (docs/systems.md, late commits)"]
    late.commit()
    assert "LATE" in read(remote, debtors(changed="updated_at", overlap=60.0), source.position)[0]


def test_rows_without_a_stamp_are_always_read(books: Books) -> None:
    books.make(DEBTOR, "ALTER TABLE debtor ALTER updated_at DROP NOT NULL, ALTER updated_at DROP DEFAULT", LONG_AGO,
               "INSERT INTO debtor (code, name) VALUES ('NEVER', 'x')")
    remote = books.remote()
    _, start, _ = read(remote, STAMPED)
    assert "NEVER" in read(remote, STAMPED, start)[0]


@pytest.mark.parametrize("kind", ["timestamptz", "timestamp", "date"])
def test_a_stamp_in_the_future_hides_nothing(books: Books, kind: str) -> None:
    books.make(DEBTOR, f"ALTER TABLE debtor ALTER updated_at TYPE {kind}", LONG_AGO,
               "INSERT INTO debtor (code, name, updated_at) VALUES ('FUTURE', 'x', '2999-01-01'), ('NEVER', 'x', 'infinity')")
    remote = books.remote()
    keys, start, _ = read(remote, STAMPED)
    assert "FUTURE" in keys
    books.admin.execute("INSERT INTO debtor (code, name) VALUES ('NOW', 'x')")
    assert "NOW" in read(remote, STAMPED, start)[0]


def test_a_position_of_another_column_reads_everything(books: Books) -> None:
    books.make(DEBTOR, LONG_AGO, "ALTER TABLE debtor ADD made_at timestamptz NOT NULL DEFAULT '2020-01-01'")
    remote = books.remote()
    _, start, _ = read(remote, STAMPED)
    assert read(remote, debtors(changed="made_at", overlap=0.0), start)[0] == OLD
    assert read(remote, STAMPED, Position())[0] == OLD


def test_an_empty_table_has_a_position_too(books: Books) -> None:
    books.make(DEBTOR)
    remote = books.remote()
    assert read(remote, STAMPED)[:2] == ([], Position())
    books.admin.execute(LONG_AGO)
    assert read(remote, STAMPED, Position())[0] == OLD


def test_a_view_and_a_query_are_read_by_stamp(books: Books) -> None:
    books.make(DEBTOR, LONG_AGO, "CREATE VIEW debts AS SELECT * FROM debtor")
    remote = books.remote()
    for resource in (Resource("debts", ("code",), ("code",), changed="updated_at", overlap=0.0),
                     Resource("q", ("code",), ("code",), changed="at", overlap=0.0,
                              query="SELECT code, coalesce(updated_at, now()) AS at FROM debtor")):
        keys, start, _ = read(remote, resource)
        assert keys == OLD
        books.admin.execute("UPDATE debtor SET updated_at = now() WHERE code = 'OLD3'")
        assert "OLD3" in read(remote, resource, start)[0]
        books.admin.execute("UPDATE debtor SET updated_at = now() - interval '1 day'")


def test_without_stamps_and_change_table_changes_cannot_be_read(books: Books) -> None:
    books.make(DEBTOR)
    with pytest.raises(ConfigurationError, match="nothing tells what changed") as table:
        books.remote().read(debtors(), Position())
    assert "navette system prepare" in str(table.value.todo)
    query = Resource("q", ("code",), ("code",), query="SELECT code FROM debtor")
    with pytest.raises(ConfigurationError, match="nothing tells what changed") as told:
        books.remote().read(query, Position())
    assert "prepare" not in str(told.value.todo)
    assert "read.full: true" in str(told.value.todo)


# --- the change table ---


@pytest.fixture
def tracked(books: Books) -> Books:
    books.make(DEBTOR, LONG_AGO)
    books.remote().prepare(debtors())
    return books


def test_a_change_table_tells_what_was_made_changed_and_deleted(tracked: Books) -> None:
    remote = tracked.remote()
    keys, start, gone = read(remote, debtors())
    assert (keys, gone) == (OLD, [])
    assert set(start.mark) == {"snapshot"}
    assert read(remote, debtors(), start)[::2] == ([], [])
    tracked.admin.execute("INSERT INTO debtor (code, name) VALUES ('NEW', 'x'), ('SHORT', 'x')")
    tracked.admin.execute("UPDATE debtor SET city = 'Lille' WHERE code IN ('OLD1', 'NEW')")
    tracked.admin.execute("DELETE FROM debtor WHERE code IN ('OLD2', 'SHORT')")
    tracked.admin.execute("UPDATE debtor SET code = 'MOVED' WHERE code = 'OLD3'")
    keys, after, gone = read(remote, debtors(), start)
    assert keys == ["MOVED", "NEW", "OLD1"]
    assert gone == [("OLD2",), ("OLD3",), ("SHORT",)]
    assert read(remote, debtors(), after)[::2] == ([], [])


def test_a_truncate_tells_every_key(tracked: Books) -> None:
    remote = tracked.remote()
    _, start, _ = read(remote, debtors())
    tracked.admin.execute("TRUNCATE debtor")
    tracked.admin.execute("INSERT INTO debtor (code, name) VALUES ('OLD2', 'again')")
    assert read(remote, debtors(), start)[::2] == (["OLD2"], [("OLD1",), ("OLD3",)])


def test_a_transaction_that_commits_after_a_later_one_was_read_is_read_too(tracked: Books) -> None:
    remote = tracked.remote()
    _, start, _ = read(remote, debtors())
    first = tracked.session()
    first.execute("INSERT INTO debtor (code, name) VALUES ('FIRST', 'x')")
    tracked.admin.execute("INSERT INTO debtor (code, name) VALUES ('SECOND', 'x')")
    keys, between, _ = read(remote, debtors(), start)
    assert keys == ["SECOND"]
    first.commit()
    keys, after, _ = read(remote, debtors(), between)
    assert keys == ["FIRST"]
    assert read(remote, debtors(), after)[0] == []


def test_what_was_rolled_back_was_no_change(tracked: Books) -> None:
    remote = tracked.remote()
    _, start, _ = read(remote, debtors())
    undone = tracked.session()
    undone.execute("DELETE FROM debtor")
    undone.rollback()
    assert read(remote, debtors(), start)[::2] == ([], [])


def test_whoever_writes_is_recorded_without_a_right_on_the_change_table(tracked: Books) -> None:
    remote = tracked.remote()
    _, start, _ = read(remote, debtors())
    clerk = f"clerk_of_{tracked.database}"
    tracked.admin.execute(f"CREATE ROLE {clerk}")
    try:
        tracked.admin.execute(f"GRANT INSERT, UPDATE, SELECT ON debtor TO {clerk}")
        tracked.admin.execute(f"GRANT USAGE ON SEQUENCE debtor_id_seq TO {clerk}")
        tracked.admin.execute(f"SET ROLE {clerk}")
        tracked.admin.execute("INSERT INTO debtor (code, name) VALUES ('CLERK', 'x')")
        with pytest.raises(Exception, match="permission denied"):
            tracked.admin.execute("DELETE FROM navette_changes.change")
        tracked.admin.execute("RESET ROLE")
        assert read(remote, debtors(), start)[0] == ["CLERK"]
    finally:
        tracked.admin.execute("RESET ROLE")
        tracked.admin.execute(f"DROP OWNED BY {clerk}")
        tracked.admin.execute(f"DROP ROLE {clerk}")


def test_keys_of_several_columns_and_types_are_recorded_as_they_are_read(books: Books) -> None:
    key = ("no", "at", "sort", "id")
    books.make("CREATE TABLE line (no numeric(6,2), at timestamptz, sort char(4), id uuid DEFAULT gen_random_uuid(), v int,"
               " PRIMARY KEY (no, at, sort, id))",
               "INSERT INTO line (no, at, sort, v) VALUES (1.5, '2026-01-05 09:30:00.25+01', 'ab', 1), (2, '2026-07-01', 'c', 1)")
    resource = Resource("line", key, (*key, "v"))
    remote = books.remote()
    remote.prepare(resource)
    source = remote.read(resource, None)
    [page] = whole(source)
    keys = [tuple(row) for row in page.frame[list(key)].to_numpy().tolist()]
    books.admin.execute("SET timezone = 'Asia/Tokyo'")
    books.admin.execute("SET datestyle = 'German'")
    books.admin.execute("UPDATE line SET v = 2 WHERE no = 1.5")
    books.admin.execute("DELETE FROM line WHERE no = 2")
    changes = remote.read(resource, source.position)
    [page] = whole(changes)
    assert [tuple(row) for row in page.frame[list(key)].to_numpy().tolist()] == [one for one in keys if one[0] == "1.50"]
    assert changes.gone == [one for one in keys if one[0] == "2.00"]


def test_single_edits_and_then_a_batch_in_one_session_are_recorded(tracked: Books) -> None:
    remote = tracked.remote()
    _, start, _ = read(remote, debtors())
    for at in range(10):
        tracked.admin.execute("INSERT INTO debtor (code, name) VALUES (%s, 'x')", (f"S{at}",))
        tracked.admin.execute("UPDATE debtor SET city = 'x' WHERE code = %s", (f"S{at}",))
    tracked.admin.execute("SET statement_timeout = '20s'")
    tracked.admin.execute("INSERT INTO debtor (code, name) SELECT 'B' || n, 'x' FROM generate_series(1, 30000) n")
    tracked.admin.execute("UPDATE debtor SET city = 'y'")
    keys, _, _ = read(remote, debtors(), start)
    assert len(keys) == 30_013


def test_preparing_is_shown_first_and_twice_is_once(books: Books) -> None:
    books.make(DEBTOR, LONG_AGO)
    remote = books.remote()
    shown = remote.prepare_statements(debtors())
    assert books.rows("SELECT count(*) FROM pg_namespace WHERE nspname = 'navette_changes'") == [(0,)]
    for text in shown:  # as an administrator would
        books.admin.execute(text)
    _, start, _ = read(remote, debtors())
    assert set(start.mark) == {"snapshot"}
    books.admin.execute("UPDATE debtor SET city = 'x' WHERE code = 'OLD1'")
    remote.prepare(debtors())
    for text in remote.prepare_statements(debtors()):
        books.admin.execute(text)
    assert read(remote, debtors(), start)[0] == ["OLD1"]


def test_unpreparing_takes_everything_away_and_old_positions_with_it(tracked: Books) -> None:
    remote = tracked.remote()
    _, start, _ = read(remote, debtors())
    with pytest.raises(ConfigurationError, match="must be owner"):
        remote.unprepare(debtors())
    tracked.admin.execute(f"ALTER TABLE debtor OWNER TO {tracked.role}")
    remote.unprepare(debtors())
    remote.unprepare(debtors())
    assert tracked.rows("SELECT count(*) FROM pg_namespace WHERE nspname = 'navette_changes'") == [(0,)]
    assert tracked.rows("SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'navette%%' AND 1 = %s", 1) == [(0,)]
    with pytest.raises(ConfigurationError, match="nothing tells"):
        remote.read(debtors(), start)
    tracked.make("DELETE FROM debtor WHERE code = 'OLD1'")  # nobody records this
    remote.prepare(debtors())
    source = remote.read(debtors(), start)
    assert sorted(told(whole(source))) == ["OLD2", "OLD3"]  # so everything is read
    assert source.notices == {"too_old": {}}


def test_two_tables_are_recorded_apart(tracked: Books) -> None:
    tracked.make("CREATE TABLE stock (sku text PRIMARY KEY)")
    stock = Resource("stock", ("sku",), ("sku",))
    remote = tracked.remote()
    remote.prepare(stock)
    _, here, _ = read(remote, debtors())
    _, there, _ = read(remote, stock)
    tracked.admin.execute("INSERT INTO stock VALUES ('S')")
    assert read(remote, debtors(), here)[0] == []
    assert read(remote, stock, there)[0] == ["S"]
    for text in remote.unprepare_statements(debtors()):  # by an administrator
        tracked.admin.execute(text)
    tracked.admin.execute("DELETE FROM stock")
    assert read(remote, stock, there)[2] == [("S",)]


def test_another_key_lost_triggers_and_views_are_refused(tracked: Books) -> None:
    remote = tracked.remote()
    by_id = debtors(key=("id",), columns=("id", "code"))
    for call in (lambda: remote.prepare(by_id), lambda: remote.read(by_id, None)):
        with pytest.raises(ConfigurationError, match=r"recorded by \(code\)"):
            call()
    tracked.admin.execute("ALTER TABLE debtor DISABLE TRIGGER navette_update")
    with pytest.raises(ConfigurationError, match="lost triggers"):
        remote.read(debtors(), None)
    tracked.make("CREATE VIEW debts AS SELECT * FROM debtor")
    with pytest.raises(ConfigurationError, match="only a table"):
        remote.prepare_statements(Resource("debts", ("code",), ("code",)))


def test_preparing_again_after_triggers_were_lost_asks_for_everything(tracked: Books) -> None:
    remote = tracked.remote()
    _, start, _ = read(remote, debtors())
    tracked.admin.execute("DROP TRIGGER navette_update ON debtor")
    tracked.admin.execute("UPDATE debtor SET city = 'unseen' WHERE code = 'OLD1'")
    remote.prepare(debtors())
    assert read(remote, debtors(), start)[0] == OLD


def test_pruning_is_bounded_and_takes_only_what_was_read(tracked: Books) -> None:
    remote = tracked.remote()
    tracked.admin.execute("UPDATE debtor SET city = 'a'")
    open_one = tracked.session()
    open_one.execute("INSERT INTO debtor (code, name) VALUES ('OPEN', 'x')")
    _, start, _ = read(remote, debtors())
    tracked.admin.execute("UPDATE debtor SET city = 'b' WHERE code = 'OLD1'")
    open_one.commit()
    assert remote.prune(debtors(), start, limit=2) == 2
    assert remote.prune(debtors(), start) == 1
    assert remote.prune(debtors(), start) == 0
    keys, after, _ = read(remote, debtors(), start)
    assert keys == ["OLD1", "OPEN"]
    assert remote.prune(debtors(), after) == 2
    assert read(remote, debtors(), start)[0] == ["OLD1", "OLD2", "OLD3", "OPEN"]  # too old now: everything
    assert remote.prune(debtors(), Position()) == 0


def test_a_position_of_another_server_reads_everything(tracked: Books) -> None:
    remote = tracked.remote()
    assert read(remote, debtors(), Position({"snapshot": "999999999:999999999:"}))[0] == OLD
    assert read(remote, debtors(), Position({"column": "updated_at", "changed": "2026-01-01"}))[0] == OLD


def heard(books: Books, act: Callable[[], object]) -> int:
    """How many hints came, the one at the beginning included, until the change of `act` was told."""
    remote = books.remote()
    hints = remote.changes(debtors(), 30.0)
    next(hints)
    threading.Timer(0.05, act).start()
    next(hints)
    hints.close()
    return sum(1 for _ in remote.changes(debtors(), 0.0))


def test_a_change_is_told_at_its_commit_and_others_are_not(tracked: Books) -> None:
    def act() -> None:
        tracked.admin.execute("NOTIFY navette, 'something else'")
        tracked.admin.execute("UPDATE debtor SET city = 'x' WHERE false")
        tracked.admin.execute("UPDATE debtor SET city = 'y'")

    assert tracked.remote().capabilities(debtors()).listens
    assert heard(tracked, act) == 0


def test_what_is_told_between_two_waits_is_not_lost(tracked: Books) -> None:
    remote = tracked.remote()
    assert list(remote.changes(debtors(), 0.0)) == [None]
    assert list(remote.changes(debtors(), 0.0)) == []
    tracked.admin.execute("UPDATE debtor SET city = 'y'")
    assert list(remote.changes(debtors(), 5.0))[:1] == [tracked.admin.info.backend_pid]


def test_our_own_writes_can_be_told_from_those_of_others(tracked: Books) -> None:
    remote, ear = tracked.remote(), tracked.remote()
    assert list(ear.changes(debtors(), 0.0)) == [None]
    [key] = tracked.rows("SELECT code FROM debtor ORDER BY code LIMIT 1")[0]
    assert remote.write(debtors(), [Change("update", (key,), {"city": "z"})])[0].state == "delivered"
    assert next(ear.changes(debtors(), 5.0)) == remote.writes_as is not None
    tracked.admin.execute("UPDATE debtor SET city = 'y'")
    assert next(ear.changes(debtors(), 5.0)) != remote.writes_as


def test_a_table_that_is_not_recorded_does_not_listen(books: Books) -> None:
    books.make(DEBTOR)
    remote = books.remote()
    assert not remote.capabilities(debtors()).listens
    with pytest.raises(ConfigurationError, match="change table"):
        next(remote.changes(debtors(), 0.0))
