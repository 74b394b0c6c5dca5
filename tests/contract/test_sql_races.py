"""Many writers at once, transactions of any length, and a reader that reads all the while: nothing is missed."""

from __future__ import annotations

import random
import threading

import psycopg
import pytest

from connectors.remote import Change, Position, Resource
from connectors.sql.remote import SqlRemote
from tests.contract.sql_desk import DEBTOR, Books, books, debtors, whole

__all__ = ["books"]

WRITERS, TRANSACTIONS = 4, 150


def edit(connection: psycopg.Connection, chance: random.Random, *, deletes: bool) -> None:
    """One transaction of a few statements, sometimes rolled back; a deadlock is a rollback too."""
    try:
        for _ in range(chance.randint(1, 4)):
            code = f"C{chance.randint(1, 60)}"
            if deletes and chance.random() < 0.25:
                connection.execute("DELETE FROM debtor WHERE code = %s", (code,))
            else:
                connection.execute("INSERT INTO debtor (code, name) VALUES (%s, %s) ON CONFLICT (code) DO UPDATE"
                                   " SET name = EXCLUDED.name, updated_at = now()", (code, str(chance.random())))
        connection.rollback() if chance.random() < 0.2 else connection.commit()
    except psycopg.errors.DeadlockDetected:
        connection.rollback()


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("way", ["table", "column"])
def test_a_copy_kept_by_reading_changes_is_the_table_in_the_end(books: Books, way: str, seed: int) -> None:
    books.make(DEBTOR)
    books.admin.execute(f"GRANT pg_read_all_stats TO {books.role}")
    remote = books.remote()
    resource = debtors(columns=("code", "name"))
    if way == "table":
        remote.prepare(resource)
    else:
        resource = debtors(columns=("code", "name"), changed="updated_at", overlap=0.0)
    copy: dict[str, str] = {}
    position = follow(books, resource, copy, None)

    def write(number: int) -> None:
        chance, connection = random.Random(seed * 100 + number), sessions[number]
        for _ in range(TRANSACTIONS):
            edit(connection, chance, deletes=way == "table")

    sessions = [books.session() for _ in range(WRITERS)]
    writers = [threading.Thread(target=write, args=(number,)) for number in range(WRITERS)]
    for writer in writers:
        writer.start()
    reads = 0
    while any(writer.is_alive() for writer in writers):
        position = follow(books, resource, copy, position)
        reads += 1
    position = follow(books, resource, copy, position)
    assert copy == dict(books.rows("SELECT code, name FROM debtor"))
    assert copy
    assert reads > 1
    if way == "table":  # and then there is nothing left to tell
        nothing: dict[str, str] = {}
        follow(books, resource, nothing, position)
        assert nothing == {}


def follow(books: Books, resource: Resource, copy: dict[str, str], since: Position | None) -> Position:
    remote = books.opened[0]
    source = remote.read(resource, since)
    for page in whole(source):
        copy.update(zip(page.frame["code"], page.frame["name"], strict=True))
    for (code,) in source.gone:
        copy.pop(code, None)
    return source.position


def test_many_writers_in_batches_of_the_connectors_leave_one_of_their_values(books: Books) -> None:
    books.make(DEBTOR, "INSERT INTO debtor (code, name) SELECT 'C' || n, 'x' FROM generate_series(1, 200) n")
    told: list[str] = []

    def write(remote: SqlRemote, seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(10):
            codes = chance.sample(range(1, 201), 50)
            changes = [Change("update", (f"C{code}",), {"name": f"w{seed}"}) for code in codes]
            receipts = remote.write(debtors(), changes)
            told.extend({receipt.state for receipt in receipts})

    threads = [threading.Thread(target=write, args=(books.remote(), seed)) for seed in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(told) == 30  # a batch is told one thing: taken, or a deadlock that may pass
    assert set(told) <= {"delivered", "retry"}
    assert "delivered" in told
