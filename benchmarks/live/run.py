"""`make bench-live`: single changes from commit to commit, at rest, under 50 changes a second, and beside a bulk load.

::

    crm ◀──▶ books (PostgreSQL, change table)      crm ◀── shop (signed calls)      crm ◀──▶ Tryton
    one `navette live` and one `navette serve` on a fresh store; arrivals are heard by NOTIFY, which tells at commit

Results: one table, and .navette/bench-live.json.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from contextlib import ExitStack, closing
from pathlib import Path

import orjson
import psycopg
from rich.console import Console
from rich.table import Table

from benchmarks.live import tryton
from benchmarks.live.commands import LOADS, beside, bulk_files, port_of, running
from benchmarks.live.series import Series, measure
from benchmarks.live.sides import (
    PASSWORD,
    SECRET,
    Clock,
    Shop,
    books_url,
    let_crm_tell,
    listening,
)
from crm_store.store import Store
from demo.navette import Navette

ROOT = Path(__file__).resolve().parents[2]
STATE = ROOT / ".navette"
PROJECT = ROOT / "benchmarks" / "live" / "project"


def sql_and_calls(navette: Navette, store: Store, url: str, count: int, loads: list[str], files: list[Path]
                  ) -> list[Series]:
    """Books both ways, and calls."""
    found: list[Series] = []
    with ExitStack() as stack:
        enter = stack.enter_context
        crm = enter(closing(psycopg.connect(store.crm_url, autocommit=True)))
        books = enter(closing(psycopg.connect(url, password=PASSWORD, autocommit=True)))
        other_crm = enter(closing(psycopg.connect(store.crm_url, autocommit=True)))
        other_books = enter(closing(psycopg.connect(url, password=PASSWORD, autocommit=True)))
        here: Clock = enter(listening(store.connect(store.roles.hub, autocommit=True)))
        there: Clock = enter(listening(psycopg.connect(url, password=PASSWORD, autocommit=True)))
        enter(running(navette, "live"))
        shop = Shop(port_of(enter(running(navette, "serve", "--port", "0"))))
        other_shop = Shop(shop.http.port)
        ids = [row[0] for row in crm.execute("SELECT id FROM crm.company ORDER BY id").fetchall()]

        def in_crm(token: str) -> float:
            crm.execute("UPDATE crm.company SET note_books = %s WHERE id = %s", [token, ids[hash(token) % 1000]])
            return time.perf_counter()

        def in_books(token: str) -> float:
            books.execute("UPDATE debtor SET note = %s WHERE no = %s", [token, 1 + hash(token) % 1000])
            return time.perf_counter()

        def called(token: str) -> float:
            began = time.perf_counter()
            shop.say(hash(token) % 1000, token)
            return began

        def by_hand(token: str) -> float:
            began = time.perf_counter()
            books.execute("UPDATE by_hand SET note = %s WHERE no = %s", [token, 1 + hash(token) % 1000])
            return time.perf_counter() - began

        for number in range(1000):
            other_shop.say(number, f"made {number}")
        until_made(crm)
        for token, change, clock in (("warm crm", in_crm, there), ("warm books", in_books, here),
                                     ("warm shop", called, here)):
            for turn in range(10):
                change(f"{token} {turn}")
                clock.wait(f"{token} {turn}")
        for load in loads:
            def one_in_crm(n: int) -> None:
                other_crm.execute("UPDATE crm.company SET city = %s WHERE id = %s", [f"C{n}", ids[1000 + n % 900]])

            def one_in_books(n: int) -> None:
                other_books.execute("UPDATE debtor SET town = %s WHERE no = %s", [f"B{n}", 1001 + n % 900])

            def one_call(n: int) -> None:
                other_shop.say(n % 1000, f"load {n}")

            with beside(load, one_in_crm, navette, files):
                found.append(measure(Series("sql", "to", load), count, in_crm, there.wait, by_hand))
            with beside(load, one_in_books, navette, files):
                found.append(measure(Series("sql", "from", load), count, in_books, here.wait))
            with beside(load, one_call, navette, files):
                found.append(measure(Series("webhook", "from", load), count, called, here.wait))
    return found


def until_made(crm: psycopg.Connection[tuple[object, ...]]) -> None:
    """Waits until all that the shop said for the first time has come in."""
    for _ in range(600):
        [[made]] = crm.execute("SELECT count(*) FROM crm.company WHERE note_shop IS NOT NULL").fetchall()
        if made == 1000:
            return
        time.sleep(0.2)
    raise SystemExit("what the shop said did not come in")


def main() -> int:
    parser = argparse.ArgumentParser(description="Measures how long single changes take.")
    parser.add_argument("--count", type=int, default=100, help="changes measured in each series")
    parser.add_argument("--loads", default=",".join(LOADS))
    parser.add_argument("--only", default="sql,tryton")
    asked = parser.parse_args()
    loads, only, console = asked.loads.split(","), asked.only.split(","), Console(width=120)
    folder = STATE / f"bench-live-{os.getpid()}"
    files = bulk_files(STATE / "bench-data" / "live")
    found: list[Series] = []
    try:
        if "sql" in only:
            found += with_sql(folder / "sql", asked.count, loads, files)
        if "tryton" in only:
            found += tryton.measured(folder / "tryton", asked.count, loads, files)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    told = [series.told() for series in found]
    show(told, console)
    (STATE / "bench-live.json").write_bytes(orjson.dumps(told, option=orjson.OPT_INDENT_2))
    return 0


def with_sql(folder: Path, count: int, loads: list[str], files: list[Path]) -> list[Series]:
    """A store, the books and the shop, made for this and removed after it."""
    folder.mkdir(parents=True)
    navette = Navette(folder, PROJECT, {"BOOKS_URL": "postgresql://x@127.0.0.1/x", "BOOKS_PASSWORD": PASSWORD,
                                        "SHOP_SECRET": SECRET})
    navette.start_afresh()
    navette.home.mkdir(exist_ok=True)
    store = Store.open(navette.home)
    try:
        url = books_url(store)
        navette = Navette(folder, PROJECT, {**navette.variables, "BOOKS_URL": url})
        navette.call("system", "prepare", "books", "--yes")
        navette.runs("books_companies")
        let_crm_tell(store)
        return sql_and_calls(navette, store, url, count, loads, files)
    finally:
        Store.stop(navette.home)


def show(told: list[dict[str, object]], console: Console) -> None:
    table = Table(title="From commit to commit, in milliseconds", title_justify="left")
    for heading in ("system", "direction", "load", "p50_ms", "p95_ms", "p99_ms", "own_ms", "poll_ms"):
        table.add_column(heading.replace("_ms", ""))
    for line in told:
        table.add_row(*[str(value) for value in line.values()])
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
