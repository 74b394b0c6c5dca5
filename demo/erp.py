"""`make demo-erp`: a real Tryton on loopback, an accounting database and the CRM, kept in step both ways.

::

    Tryton and accounting filled ─▶ run --all ─▶ the CRM's own edits go out ─▶ live: an edit on each side arrives
                                                                                 │        on the two others
    everything stopped ◀─ a second pass writes nothing ◀─ locks ◀─ conflict, settled, loser kept
"""

from __future__ import annotations

import argparse
import resource
import signal
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from connectors.tryton.session import Session
from crm_store.store import Store
from demo import show
from demo.erp_books import Books
from demo.erp_sides import Crm, Erp, arrival
from demo.navette import HERE, Navette
from demo.show import heading, out
from demo.tryton_server import TrytonServer, running, template
from demo.tryton_world import fill
from mappings.errors import NavetteError

PROJECT = HERE / "tryton"
NEW, PROSPECT = "Chaudronnerie Martin-Leroy", "Perhaps a customer one day"
MOVED, DISPUTED = "12", "25"
"""Two that are typed into the CRM; codes of two parties of Tryton."""
INVOICE, OWED = "F2026-99001", Decimal("1234.50")
"""What accounting writes while the demo runs, and is paid."""


def open_books(navette: Navette, books: Books, erp: Erp) -> None:
    """Accounting knows the customers too, by numbers of its own; its administrator lets changes be recorded."""
    made = books.fill(erp.customers())
    out.print(f"accounting, a PostgreSQL database: {', '.join(f'{count} {table}' for table, count in made.items())}")
    shown = navette.answer("system", "prepare", "accounting")["resources"]
    books.run([statement for one in shown for statement in one["statements"]])
    out.print("navette system prepare accounting shows the SQL that records changes; its administrator has run it")


def load(navette: Navette) -> None:
    heading("navette run --all: parties, addresses, products, sales, employees, hours, debtors and debts come in")
    runs = navette.runs("--all")
    show.counters(runs)


def send_own_edits(navette: Navette, crm: Crm, erp: Erp, books: Books) -> None:
    """What people had typed into the CRM goes out: two customers, one with an address, and no prospect."""
    heading("In the CRM: a customer with an address and a prospect are typed in, five customers get another phone")
    new = crm.one("INSERT INTO crm.company (name, type, phone, email) VALUES (%s, 'customer', '+33199004242',"
                  " 'atelier@martin-leroy.example') RETURNING id", NEW)
    crm("INSERT INTO crm.address (company, street, postal_code, city, country) VALUES"
        " (%s, '8 quai de la Fonderie', '69002', 'Lyon', 'FR')", new)
    crm("INSERT INTO crm.company (name, type) VALUES (%s, 'prospect')", PROSPECT)
    crm("UPDATE crm.company SET phone = '+3319900' || (7000 + id) WHERE customer_code = ANY (%s)", list("23456"))
    out.print("\nnavette push: what is due goes to Tryton and to accounting")
    show.sent(navette.answer("push")["pushes"])
    [code], prospects = erp.codes(NEW), erp.codes(PROSPECT)
    made, address = erp.party(code), erp.address(code)
    out.print(f"\nTryton made party {code}: {made['name']}, {made['phone']}, {made['email']};"
              f" {address['street']}, {address['postal_code']} {address['city']}", markup=False)
    out.print(f"Accounting made debtor {books.number(NEW)}.")
    out.print(f"Of the prospect Tryton knows {len(prospects) or 'nothing'}, as the flow's write.when says.")
    out.print("The numbers come back with the next reading, by what follows.")


def edit_live(navette: Navette, crm: Crm, erp: Erp, books: Books) -> None:
    """Each edit is timed from its commit on one side until the other side shows it."""
    debtor = crm.one("SELECT customer_account FROM crm.company WHERE customer_code = %s", MOVED)

    def name_here() -> object:
        return crm.one("SELECT name FROM crm.company WHERE customer_code = %s", MOVED)

    def city_here() -> object:
        return crm.one("SELECT a.city FROM crm.address a JOIN crm.company c ON c.id = a.company"
                       " WHERE c.customer_code = %s", MOVED)

    def phone_here() -> object:
        return crm.one("SELECT phone FROM crm.company WHERE customer_code = %s", MOVED)

    def limit_here() -> object:
        return crm.one("SELECT credit_limit FROM crm.company WHERE customer_code = %s", MOVED)

    def owed_here(archived: bool) -> object:
        return crm.one("SELECT amount FROM crm.receivable r JOIN crm.company c ON c.id = r.company WHERE number = %s"
                       " AND c.customer_code = %s AND (r.archived_at IS NOT NULL) = %s", INVOICE, MOVED, archived)

    def named(name: str) -> None:
        crm("UPDATE crm.company SET name = %s WHERE customer_code = %s", name, MOVED)

    def reached(phone: str) -> None:
        crm("UPDATE crm.company SET phone = %s WHERE customer_code = %s", phone, MOVED)

    heading("navette live: edits arrive by themselves (Tryton is asked every second, accounting tells)")
    with navette.live():
        up = time.perf_counter()
        named("Live")
        arrival("the first edit", lambda: erp.party(MOVED)["name"], "Live")
        [code] = erp.codes(NEW)
        arrival("the number", lambda: crm.one("SELECT customer_code FROM crm.company WHERE name = %s", NEW), code)
        out.print(f"up after {time.perf_counter() - up:.1f} s, with the new customer's number, {code}, brought in\n")
        edits: tuple[tuple[str, Callable[[], object], Callable[[], object], object], ...] = (
            ("name,  CRM ─▶ Tryton", lambda: named("Ferronnerie d'Art Blanc"),
             lambda: erp.party(MOVED)["name"], "Ferronnerie d'Art Blanc"),
            ("phone, CRM ─▶ Tryton", lambda: reached("+33199001212"),
             lambda: erp.party(MOVED)["phone"], "+33199001212"),
            ("name,  Tryton ─▶ CRM", lambda: erp.rename(MOVED, "Ferronnerie Blanc et Fils"),
             name_here, "Ferronnerie Blanc et Fils"),
            ("phone, Tryton ─▶ CRM", lambda: erp.reach(MOVED, "phone", "01 99 00 34 34"), phone_here, "+33199003434"),
            ("city,  Tryton ─▶ CRM", lambda: erp.move(MOVED, "Villeurbanne"), city_here, "Villeurbanne"),
            ("name,  Tryton ─▶ CRM ─▶ accounting", lambda: erp.rename(MOVED, "Ferronnerie Blanc"),
             lambda: books.debtor(debtor)["name"], "Ferronnerie Blanc"),
            ("phone, accounting ─▶ CRM ─▶ Tryton", lambda: books.reach(debtor, "01 99 00 56 56"),
             lambda: erp.party(MOVED)["phone"], "+33199005656"),
            ("limit, accounting ─▶ CRM", lambda: books.allow(debtor, 77_000), limit_here, 77_000),
            ("open item, accounting ─▶ CRM", lambda: books.invoice(INVOICE, debtor, OWED),
             lambda: owed_here(archived=False), OWED),
            ("its payment, accounting ─▶ CRM", lambda: books.pay(INVOICE), lambda: owed_here(archived=True), OWED),
        )
        for what, edit, question, wanted in edits:
            edit()
            out.print(f"{what}: arrived after {arrival(what, question, wanted):.2f} s", markup=False)


def edit_both_sides(navette: Navette, crm: Crm, erp: Erp, books: Books) -> None:
    """Between two syncs both sides change the name and the e-mail of one customer."""
    heading("Both sides edit one customer between two syncs (on_conflict: name: tryton, email: crm)")
    number = erp.party(DISPUTED)["id"]
    crm("UPDATE crm.company SET name = 'The CRM''s name', email = 'crm@both.example' WHERE customer_code = %s",
        DISPUTED)
    erp.rename(DISPUTED, "Tryton's name")
    erp.reach(DISPUTED, "email", "tryton@both.example")
    show.sent([*navette.runs("tryton_parties"), *navette.runs("accounting_debtors")])
    name, email, debtor = crm("SELECT name, email, customer_account FROM crm.company WHERE customer_code = %s",
                              DISPUTED)[0]
    there, owing = erp.party(DISPUTED), books.debtor(debtor)
    out.print(f"\nthe CRM has    {name}, {email}\nTryton has     {there['name']}, {there['email']}", markup=False)
    out.print(f"accounting has {owing['name']}, {owing['email']}", markup=False)
    out.print(f"navette trace tryton {number} tells who lost:")
    lost = [line for line in navette.call("trace", "tryton", str(number)).splitlines() if "on both sides" in line]
    out.print(*lost, sep="\n", markup=False, soft_wrap=True)


def edit_locked(crm: Crm) -> None:
    heading("Someone in the CRM edits a SIRET, which Tryton alone may change")
    told = crm.refusal("UPDATE crm.company SET siret = '73282932000074' WHERE customer_code = %s", MOVED)
    out.print(*told, sep="\n", markup=False)
    crm("UPDATE crm.company SET segment = 'A' WHERE customer_code = %s", MOVED)
    out.print("The segment, which the CRM owns, can be edited: done.")
    out.print(crm.refusal("UPDATE crm.company SET credit_limit = 0 WHERE customer_code = %s", MOVED)[0], markup=False)


def pass_again(navette: Navette, erp: Erp, books: Books) -> int:
    """Everything is read and compared anew, nobody edits. Returns how much was written anywhere: nothing, or it is a
    fault."""
    heading("navette run --all --full: a second pass reads everything, and must write nothing anywhere")
    there, owed = erp.stamps(), books.stamps()
    runs = navette.runs("--all", "--full")
    sent = show.sent(runs)
    moved, rewritten = show.moved(there, erp.stamps()), show.moved(owed, books.stamps())
    changed, same = show.total(runs, "created", "updated"), show.total(runs, "unchanged")
    out.print(f"\n{same:,} rows unchanged, {changed:,} created or updated in the CRM, {sent:,} sent.")
    out.print(f"Of {len(there):,} records in Tryton {moved:,} have another write stamp than before,")
    out.print(f"of {len(owed):,} rows in accounting {rewritten:,}.")
    return changed + sent + moved + rewritten


def tell_where_to_look(navette: Navette, server: TrytonServer) -> None:
    heading("Look around (everything is stopped; the data stay)")
    at = navette.project.relative_to(Path.cwd()) if navette.project.is_relative_to(Path.cwd()) else navette.project
    again = f".venv/bin/python -m demo.tryton_server --in {server.folder}"
    out.print(f"Tryton again, at {server.url}:   {again}", soft_wrap=True)
    out.print(f"where every flow stands:              .venv/bin/navette --project {at} status")
    out.print(f"mappings, to read and to change:      {at}/mappings/")


def make_sides(navette: Navette, server: TrytonServer, session: Session) -> Books:
    """Fills Tryton, and meanwhile makes the store with its tables, and accounting on its server."""
    def make_store() -> Books:
        navette.call("store", "migrate")
        return Books.make(navette.home)

    began = time.perf_counter()
    with ThreadPoolExecutor(1) as pool:
        making = pool.submit(make_store)
        made = fill(session)
        books = making.result()
    out.print(f"{server.url}: {', '.join(f'{count} {model}' for model, count in made.items())}"
              f" ({time.perf_counter() - began:.0f} s)")
    return books


def tell(navette: Navette, server: TrytonServer) -> int:
    """The whole story; returns what was written where nothing should have been."""
    session = Session(server.settings())
    books = make_sides(navette, server, session)
    navette = replace(navette, variables={**navette.variables, **books.variables})
    crm, erp = Crm(Store.open(navette.home).crm_url), Erp(session)
    open_books(navette, books, erp)
    load(navette)
    send_own_edits(navette, crm, erp, books)
    edit_live(navette, crm, erp, books)
    edit_both_sides(navette, crm, erp, books)
    edit_locked(crm)
    written = pass_again(navette, erp, books)
    session.close()
    return written


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Keeps a Tryton, an accounting database and the CRM in step, both ways, and shows how.")
    parser.add_argument("--in", dest="folder", type=Path, default=PROJECT, help="another folder for its data and store")
    project = parser.parse_args().folder.resolve()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started is stopped then too
    began = time.perf_counter()
    try:
        heading("A Tryton on loopback, with a company, a French chart of accounts and an open year")
        template()
        Navette(project, PROJECT).start_afresh()
        with running(project / ".navette" / "tryton") as server:
            navette = Navette(project, PROJECT, {
                "TRYTON_URL": server.url, "TRYTON_PASSWORD_FILE": str(server.password_file)})
            try:
                written = tell(navette, server)
            finally:
                Store.stop(navette.home)
        tell_where_to_look(navette, server)
    except NavetteError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    cpu = sum(one.ru_utime + one.ru_stime for one in used)
    out.print(f"\n{time.perf_counter() - began:.0f} s, of which {cpu:.0f} s on a processor (without PostgreSQL)")
    return 1 if written else 0


if __name__ == "__main__":
    sys.exit(main())
