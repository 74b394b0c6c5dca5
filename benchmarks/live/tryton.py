"""The part of the bench that needs a real Tryton: it is asked every second, and writes by JSON-RPC.

It has no way to tell of its commits. What is sent has arrived when its answer was noted, which is a little later; what
is edited there was committed when the call returned.
"""

from __future__ import annotations

import re
import shutil
import time
from contextlib import ExitStack, closing
from datetime import timedelta
from pathlib import Path

import psycopg

from benchmarks.live.commands import beside, running
from benchmarks.live.series import Series, measure
from benchmarks.live.sides import let_crm_tell, listening
from connectors.tryton.session import Session
from crm_store.store import Store
from demo.erp import PROJECT
from demo.navette import Navette
from demo.tryton_server import running as tryton_running
from demo.tryton_server import template
from demo.tryton_world import fill
from mappings.errors import RunStopped

POLL_MS = 1000.0
BATCH, BULK_PARTIES = 500, 2000
BULK = Path(__file__).parent / "project" / "mappings" / "flows" / "bulk_products.yaml"
PARTY = "model.party.party.write"


def measured(folder: Path, count: int, loads: list[str], files: list[Path]) -> list[Series]:
    """Names of parties, both ways, on a Tryton and a store made for this."""
    template()
    with tryton_running(folder / "erp") as server:
        navette = Navette(folder, PROJECT, {
            "TRYTON_URL": server.url, "TRYTON_PASSWORD_FILE": str(server.password_file)})
        navette.start_afresh()
        _without_accounting(navette)
        with closing(Session(server.settings())) as session, closing(Session(server.settings())) as other:
            fill(session)
            navette.runs("--all")
            store = Store.open(navette.home)
            try:
                let_crm_tell(store)
                found = _series(navette, store, session, other, count, loads, files)
                by_hand, pushed = bulk(navette, store, session)  # afterwards: polls look back on it for minutes
                print(f"parties a second, {BATCH} a call: {by_hand:.0f} by hand, {pushed:.0f} by navette push")
                return found
            finally:
                Store.stop(navette.home)


def bulk(navette: Navette, store: Store, session: Session) -> tuple[float, float]:
    """Parties a second that Tryton takes in by hand, in batches of 500, half of them before and half after; and by
    `navette push`."""
    by_hand = _by_hand(session, BULK_PARTIES // 2)
    with closing(psycopg.connect(store.crm_url, autocommit=True)) as crm:
        crm.execute("INSERT INTO crm.company (name, type)"
                    " SELECT 'By push ' || n, 'customer' FROM generate_series(1, %s) n", [BULK_PARTIES])
    told = navette.answer("push", "tryton_parties")
    pushed = told["pushes"][0] if "pushes" in told else told
    if pushed["created"] != BULK_PARTIES:
        raise RunStopped(f"navette push: {pushed}")
    by_hand += _by_hand(session, BULK_PARTIES // 2)
    return BULK_PARTIES / by_hand, BULK_PARTIES / pushed["seconds"]


def _by_hand(session: Session, count: int) -> float:
    """Seconds for `count` parties."""
    rows = [{"name": f"By hand {number}"} for number in range(count)]
    began = time.perf_counter()
    for start in range(0, count, BATCH):
        session.write("model.party.party.create", rows[start : start + BATCH])
    return time.perf_counter() - began


def _without_accounting(navette: Navette) -> None:
    """The demo's third system is left out; files of products come beside, for the bulk load."""
    laid = navette.project / "mappings"
    for path in (*(laid / "flows").glob("accounting_*.yaml"), laid / "entities" / "receivable.yaml"):
        path.unlink()
    for name, whole in (("systems.yaml", r"(?m)^  accounting:\n(    .*\n)+"),
                        ("entities/company.yaml", r"(?m)^  \w+: accounting\n")):
        path = laid / name
        path.write_text(re.sub(whole, "", path.read_text("utf-8")), "utf-8")
    with (laid / "systems.yaml").open("a", encoding="utf-8") as systems:
        systems.write("  bulk:\n    connector: file\n    folder: data\n")
    navette.data.mkdir(exist_ok=True)
    shutil.copy(BULK, laid / "flows")


def _series(navette: Navette, store: Store, session: Session, other: Session, count: int, loads: list[str],
            files: list[Path]) -> list[Series]:
    found: list[Series] = []
    with ExitStack() as stack:
        enter = stack.enter_context
        crm = enter(closing(psycopg.connect(store.crm_url, autocommit=True)))
        other_crm = enter(closing(psycopg.connect(store.crm_url, autocommit=True)))
        hub = enter(closing(store.connect(store.roles.hub, autocommit=True)))
        here = enter(listening(store.connect(store.roles.hub, autocommit=True)))
        enter(running(navette, "live"))
        pairs = hub.execute("SELECT record_id, key::int FROM sync.crosswalk_company x JOIN sync.feed f ON f.id = x.feed"
                            " WHERE f.flow = 'tryton_parties' ORDER BY key::int").fetchall()
        half = len(pairs) // 2

        def in_crm(token: str) -> float:
            crm.execute("UPDATE crm.company SET name = %s WHERE id = %s", [token, pairs[hash(token) % half][0]])
            return time.perf_counter()

        def in_tryton(token: str) -> float:
            session.write(PARTY, [pairs[hash(token) % half][1]], {"name": token})
            return time.perf_counter()

        def by_hand(token: str) -> float:
            began = time.perf_counter()
            session.write(PARTY, [pairs[half + hash(token) % (half // 2)][1]], {"name": token})
            return time.perf_counter() - began

        def one_in_crm(number: int) -> None:
            other_crm.execute("UPDATE crm.company SET name = %s WHERE id = %s",
                              [f"Load {number}", pairs[half + number % half][0]])

        def one_in_tryton(number: int) -> None:
            other.write(PARTY, [pairs[half + number % half][1]], {"name": f"Load {number}"})

        for turn in range(10):
            in_crm(f"warm {turn}")
            _noted(hub, f"warm {turn}")
            in_tryton(f"warm back {turn}")
            here.wait(f"warm back {turn}")
        for load in loads:
            with beside(load, one_in_crm, navette, files):
                found.append(measure(Series("tryton", "to", load), count, in_crm,
                                     lambda token: _noted(hub, token), by_hand))
            with beside(load, one_in_tryton, navette, files):
                found.append(measure(Series("tryton", "from", load, poll_ms=POLL_MS), count, in_tryton, here.wait))
    return found


def _noted(hub: psycopg.Connection[tuple[object, ...]], token: str) -> float:
    """The moment at which Tryton's answer to the write of this name was noted. Raises TimeoutError."""
    query = "SELECT clock_timestamp() - answered_at FROM sync.intent WHERE state = 'delivered' AND values->>'name' = %s"
    until = time.perf_counter() + 60
    while time.perf_counter() < until:
        found = hub.execute(query, [token]).fetchone()
        if found is not None:
            since: timedelta = found[0]  # type: ignore[assignment]
            return time.perf_counter() - since.total_seconds()
        time.sleep(0.02)
    raise TimeoutError(token)
