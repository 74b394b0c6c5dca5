"""The sides of the bench as their own users see them, and a clock that hears each commit."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from threading import Event, Thread

import orjson
import psycopg
from psycopg import sql

from crm_store.store import Store, admin_connection
from pipelines.http.signature import sign

BOOKS, PASSWORD, SECRET = "bench_books", "of-the-books", "of-the-shop-that-calls"
COMPANIES = 2_000
KEPT = 2.0
"""Seconds after which a connection is thought to be closed by the server."""
CHANNEL = "bench"
BOOKS_TABLES = """
CREATE TABLE debtor (no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, label text NOT NULL, town text, tel text,
                     note text);
CREATE TABLE by_hand (no bigint PRIMARY KEY, note text);
CREATE FUNCTION heard() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    PERFORM pg_notify('bench', new.note); RETURN NULL; END $$;
CREATE TRIGGER heard AFTER UPDATE OF note ON debtor FOR EACH ROW WHEN (new.note IS NOT NULL) EXECUTE FUNCTION heard();
"""
CRM_TRIGGER = """
CREATE FUNCTION crm.bench_heard() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    PERFORM pg_notify('bench', changed.value)
        FROM jsonb_each_text(to_jsonb(new)) AS changed
        WHERE changed.key IN ('note_shop', 'note_books', 'name')
            AND changed.value IS DISTINCT FROM to_jsonb(old)->>changed.key;
    RETURN NULL; END $$;
CREATE TRIGGER bench_heard AFTER UPDATE ON crm.company FOR EACH ROW EXECUTE FUNCTION crm.bench_heard();
"""


class Clock:
    """When each token was committed, by the notices of the database in which it was."""

    def __init__(self) -> None:
        self.at: dict[str, float] = {}

    def wait(self, token: str, patience: float = 60.0) -> float:
        """The moment (perf_counter) at which the token was heard. Raises TimeoutError."""
        until = time.perf_counter() + patience
        while token not in self.at:
            if time.perf_counter() > until:
                raise TimeoutError(token)
            time.sleep(0.0005)
        return self.at[token]


@contextmanager
def listening(connection: psycopg.Connection[tuple[object, ...]]) -> Iterator[Clock]:
    """Hears the notices of `connection`'s database while the block runs."""
    clock, stop = Clock(), Event()
    connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(CHANNEL)))

    def hear() -> None:
        while not stop.is_set():
            for note in connection.notifies(timeout=0.5):
                clock.at[note.payload] = time.perf_counter()

    thread = Thread(target=hear, daemon=True)
    thread.start()
    try:
        yield clock
    finally:
        stop.set()
        thread.join()


def books_url(store: Store) -> str:
    """The books are a database of their own on the store's server, with a login of its own."""
    with closing(admin_connection(store)) as admin:
        name = sql.Identifier(BOOKS)
        admin.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(name, sql.Literal(PASSWORD)))
        admin.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(name, name))
        host, port = admin.info.host, admin.info.port
    url = f"postgresql://{BOOKS}@/{BOOKS}?host={host}&port={port}"
    with closing(psycopg.connect(url, password=PASSWORD, autocommit=True)) as books:
        books.execute(BOOKS_TABLES)
        books.execute("INSERT INTO debtor (label, town) SELECT 'Company ' || n, 'Lyon' FROM generate_series(1, %s) n",
                      [COMPANIES])
        books.execute("INSERT INTO by_hand SELECT n FROM generate_series(1, %s) n", [COMPANIES])
    return url


def let_crm_tell(store: Store) -> None:
    """The CRM's companies tell of their changes to whoever measures."""
    with closing(store.connect(store.roles.owner, autocommit=True)) as owner:
        owner.execute(CRM_TRIGGER)


class Shop:
    """Calls as a system does, one connection kept."""

    def __init__(self, port: int) -> None:
        self.http = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self.last = 0.0

    def say(self, number: int, note: str) -> None:
        """One signed call on one company; returns when it was answered. Raises RuntimeError for anything but 202."""
        body = orjson.dumps({"id": number, "name": f"Customer {number}", "city": "Lyon", "note": note,
                             "version": time.time_ns()})
        timestamp = str(int(time.time()))
        if time.monotonic() - self.last > KEPT:
            self.http.close()  # the server has, too; the next request opens another
        self.last = time.monotonic()
        self.http.request("POST", "/hooks/shop/shop_companies", body, {
            "Content-Type": "application/json", "Navette-Timestamp": timestamp,
            "Navette-Signature": sign(SECRET.encode(), timestamp, body)})
        answer = self.http.getresponse()
        said = answer.read()
        if answer.status != 202:
            raise RuntimeError(said.decode())
