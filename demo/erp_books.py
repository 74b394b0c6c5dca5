"""The third side of the second demo: an accounting database, a PostgreSQL database of its own with its own users.

::

    compta                      the accounting application: owns the database, people edit as it
    ├── debtors                 one row a customer; name, phone and e-mail are shared, terms and limit are accounting's
    ├── receivables             what is still to be paid; a row goes when it is paid
    └── navette_changes         which rows changed: SQL that `navette system prepare` shows, run by the owner
    navette_compta              Navette's login there: reads both, makes debtors, updates what is shared, nothing more

It lives on the store's own server, so that the demo starts no second one; neither login can see the store.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import psycopg
from psycopg.sql import SQL, Composed, Identifier
from sqlalchemy import URL

from crm_store import server
from crm_store.roles import make_database, make_login
from crm_store.store import Store, admin_connection
from demo.tryton_company import YEAR

DATABASE, OWNER, LOGIN = "compta", "compta", "navette_compta"
TERMS = ("à réception", "30 jours", "45 jours fin de mois", "60 jours")
OPEN_ITEMS = 3  # a debtor has at most so many

TABLES = """
CREATE SEQUENCE debtor_numbers;
CREATE TABLE debtors (
    number text PRIMARY KEY DEFAULT '411' || lpad(nextval('debtor_numbers')::text, 5, '0'),
    name text NOT NULL, siret text UNIQUE, phone text, email text,
    payment_terms text NOT NULL DEFAULT '30 jours', credit_limit numeric(12, 2), crm_id text UNIQUE,
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE TABLE receivables (
    number text PRIMARY KEY, debtor text NOT NULL REFERENCES debtors, issued_on date NOT NULL, due_on date NOT NULL,
    amount numeric(12, 2) NOT NULL, currency char(3) NOT NULL DEFAULT 'EUR');
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN new.updated_at := clock_timestamp(); RETURN new; END $$;
CREATE TRIGGER stamp BEFORE UPDATE ON debtors FOR EACH ROW EXECUTE FUNCTION stamp();
"""

GRANTS = """
GRANT USAGE ON SCHEMA public TO {login};
GRANT SELECT ON debtors, receivables TO {login};
GRANT INSERT, UPDATE (name, siret, phone, email) ON debtors TO {login};
GRANT USAGE ON SEQUENCE debtor_numbers TO {login};
"""


@dataclass(frozen=True)
class Party:
    """A customer as another system knows it: what an accountant would have typed from its orders."""

    name: str
    siret: str
    phone: str
    email: str


@dataclass(frozen=True)
class Books:
    """The database as somebody in accounting sees it. `variables`: what Navette is told of it."""

    conninfo: dict[str, Any]
    variables: dict[str, str]

    @classmethod
    def make(cls, home: Path) -> Books:
        """A new, empty database on the running server of the store in `home`."""
        store, words = Store.open(home), {role: secrets.token_urlsafe(18) for role in (OWNER, LOGIN)}
        with admin_connection(store) as admin:
            for role, word in words.items():
                make_login(admin, role, word)
            make_database(admin, DATABASE, OWNER)
            admin.execute(SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(Identifier(DATABASE)))
            admin.execute(SQL("GRANT CONNECT ON DATABASE {} TO {}").format(Identifier(DATABASE), Identifier(LOGIN)))
        at = server.ensure_running(home)
        place = {"host": at.socket_dir, "port": str(at.port)}
        url = URL.create("postgresql", LOGIN, database=DATABASE, query=place)
        made = cls({"user": OWNER, "password": words[OWNER], "dbname": DATABASE, **place},
                   {"ACCOUNTING_URL": url.render_as_string(), "ACCOUNTING_PASSWORD": words[LOGIN]})
        made(TABLES)
        made(SQL(GRANTS).format(login=Identifier(LOGIN)))
        return made

    def __call__(self, statement: str | Composed, *values: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(**self.conninfo, autocommit=True) as connection:
            cursor = connection.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []

    def fill(self, parties: Sequence[Party], seed: int = 1) -> dict[str, int]:
        """A debtor for each party, with terms, a limit and what it still has to pay. Returns rows by table."""
        random = Random(seed)
        debtors = [(one.name, one.siret, one.phone, one.email, random.choice(TERMS), 1000 * random.randint(1, 40))
                   for one in parties]
        with psycopg.connect(**self.conninfo) as connection, connection.cursor() as cursor:
            cursor.executemany("INSERT INTO debtors (name, siret, phone, email, payment_terms, credit_limit)"
                               " VALUES (%s, %s, %s, %s, %s, %s)", debtors)
            numbers = [row[0] for row in cursor.execute("SELECT number FROM debtors ORDER BY number")]
            items = list(_open_items(random, numbers))
            cursor.executemany("INSERT INTO receivables (number, debtor, issued_on, due_on, amount)"
                               " VALUES (%s, %s, %s, %s, %s)", items)
        return {"debtors": len(debtors), "receivables": len(items)}

    def run(self, statements: Iterable[str]) -> None:
        """What an administrator was shown, and runs: all or nothing."""
        with psycopg.connect(**self.conninfo) as connection:
            for statement in statements:
                connection.execute(SQL(statement))

    def number(self, name: str) -> str:
        """Of the debtor with this name; '' where there is none."""
        return "".join(row[0] for row in self("SELECT number FROM debtors WHERE name = %s", name))

    def debtor(self, number: str) -> dict[str, Any]:
        """Name, phone and e-mail of the debtor with this number."""
        return dict(zip(("name", "phone", "email"),
                        self("SELECT name, phone, email FROM debtors WHERE number = %s", number)[0], strict=True))

    def reach(self, number: str, phone: str) -> None:
        self("UPDATE debtors SET phone = %s WHERE number = %s", phone, number)

    def allow(self, number: str, limit: int) -> None:
        self("UPDATE debtors SET credit_limit = %s WHERE number = %s", limit, number)

    def invoice(self, number: str, debtor: str, amount: Decimal) -> None:
        """An open item from the year's last day."""
        self("INSERT INTO receivables (number, debtor, issued_on, due_on, amount) VALUES (%s, %s, %s, %s, %s)",
             number, debtor, date(YEAR, 12, 31), date(YEAR + 1, 1, 30), amount)

    def pay(self, number: str) -> None:
        self("DELETE FROM receivables WHERE number = %s", number)

    def stamps(self) -> dict[tuple[str, str], Any]:
        """By which transaction each row was last written."""
        return {(table, number): seen for table, number, seen in self(
            "SELECT 'debtors', number, xmin::text FROM debtors"
            " UNION ALL SELECT 'receivables', number, xmin::text FROM receivables")}


def _open_items(random: Random, debtors: Iterable[str]) -> Iterable[tuple[str, str, date, date, Decimal]]:
    """Number, debtor, issued, due, amount."""
    number = 0
    for debtor in debtors:
        for _ in range(random.randint(0, OPEN_ITEMS)):
            number += 1
            issued = date(YEAR, 1, 1) + timedelta(random.randrange(300))
            yield (f"F{YEAR}-{number:05d}", debtor, issued, issued + timedelta(random.choice((0, 30, 60))),
                   Decimal(random.randint(5_000, 900_000)) / 100)
