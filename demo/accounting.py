"""Accounting: debtor balances in fixed width with a trailer, and the ledger in the legal French form (FEC).

::

    D C00042   BOULANGERIE DU LAC            EUR -00000012345 20261031      D, account 8, name 30, currency 3,
    cents 12, day 8
    T 002400   0000123456789                                                T, rows 6, sum of cents 16
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from random import Random

from demo.manifest import CREATED, SUPERSEDED, WAITS, Row, rejected
from demo.world import Customer, World

BALANCES = 2_400
ENTRIES = 2_500
"""Ledger entries: one sale each, of three lines (customer, revenue, tax)."""
FEC_COLUMNS = (
    "JournalCode", "JournalLib", "EcritureNum", "EcritureDate", "CompteNum", "CompteLib", "CompAuxNum", "CompAuxLib",
    "PieceRef",
    "PieceDate", "EcritureLib", "Debit", "Credit", "EcritureLet", "DateLet", "ValidDate", "Montantdevise", "Idevise",
)
COMPANY_SIREN = "999000004"
"""The company whose books these are; the FEC's file name begins with it."""


def capitals(text: str) -> str:
    """As the accounting package prints names: no accents, capitals, thirty characters."""
    text = text.replace("œ", "oe").replace("Œ", "OE")
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().upper()[:30]


def _balance(account: str, name: str, currency: str, cents: int, day: str) -> bytes:
    return f"D{account:<8}{capitals(name):<30}{currency:<3}{cents:+013d}{day}".encode("cp1252")


def balance_rows(world: World, companies: Mapping[str, str], random: Random) -> list[Row[bytes]]:
    rows: list[Row[bytes]] = []
    for number, customer in enumerate(random.sample(world.customers, BALANCES)):
        cents = random.randrange(-50_000, 4_000_000)
        fate = CREATED if companies.get(customer.account) == CREATED else WAITS
        fault = "customer not taken in" if fate == WAITS else ""
        account, currency, day = customer.account, "EUR", f"2026{random.randrange(6, 11):02d}28"
        if number in {400, 900}:
            currency, fate, fault = "€€€", rejected("not_currency"), "currency that does not exist"
        elif number in {401, 901, 1401}:
            day, fate, fault = "20261345", rejected("not_date"), "month 13"
        elif number in {402, 902}:
            account, fate, fault = "", rejected("no_key"), "account number missing"
        elif number in {403, 903, 1403}:
            older = _balance(account, customer.name, currency, cents - 100, day)
            rows.append(Row(account, older, (("receivable", SUPERSEDED),), "account repeated further down"))
        content = _balance(account, customer.name, currency, cents, day)
        rows.append(Row(account or f"?{number}", content, (("receivable", fate),), fault))
    return rows


def cents_of(content: bytes) -> int:
    return int(content.decode("cp1252")[42:55])


def balance_trailer(rows: Sequence[Row[bytes]]) -> bytes:
    return f"T{len(rows):06d}{sum(cents_of(row.content) for row in rows):+017d}".encode("ascii")


def ledger_rows(world: World, companies: Mapping[str, str], random: Random) -> list[Row[bytes]]:
    rows: list[Row[bytes]] = []
    for number in range(1, ENTRIES + 1):
        customer = random.choice(world.customers)
        fate = CREATED if companies.get(customer.account) == CREATED else WAITS
        rows += _sale(number, customer, fate, random)
    return _with_ledger_faults(rows, random)


def _sale(number: int, customer: Customer, fate: str, random: Random) -> list[Row[bytes]]:
    """Customer (debit), revenue and tax (credit): the three lines balance."""
    day = f"2026{random.randrange(1, 11):02d}{random.randrange(1, 29):02d}"
    net = random.randrange(5_000, 900_000)
    tax = round(net * 0.2)
    entry, piece = f"VE{number:06d}", f"FA{number:06d}"
    text = f"Facture {piece} {customer.name}"
    lines = (
        ("411000", "Clients", customer.account, customer.name, net + tax, 0),
        ("706000", "Prestations de services", "", "", 0, net),
        ("445710", "TVA collectée", "", "", 0, tax),
    )
    rows = []
    for account, label, auxiliary, auxiliary_label, debit, credit in lines:
        values = (
            "VE", "Ventes", entry, day, account, label, auxiliary, auxiliary_label, piece, day, text, _amount(debit),
            _amount(credit),
            "", "", day, "", "",
        )
        own = fate if auxiliary else CREATED
        fault = "customer not taken in" if own == WAITS else ""
        rows.append(Row(entry, "\t".join(values).encode("utf-8"), (("ledger_entry", own),), fault))
    return rows


def _amount(cents: int) -> str:
    return f"{cents // 100},{cents % 100:02d}"


def _with_ledger_faults(rows: list[Row[bytes]], random: Random) -> list[Row[bytes]]:
    sound = [index for index, row in enumerate(rows) if row.fates == (("ledger_entry", CREATED),)]
    chosen = iter(random.sample(sound, 7))
    for column, value, code, fault, count in (
        (3, "20260230", "not_date", "30 February", 2),
        (11, "douze", "not_decimal", "debit in words", 2),
        (None, "", "columns", "line cut short", 3),
    ):
        for _ in range(count):
            at = next(chosen)
            parts = rows[at].content.decode("utf-8").split("\t")
            if column is None:
                parts = parts[:9]
            else:
                parts[column] = value
            rows[at] = Row(rows[at].key, "\t".join(parts).encode("utf-8"), (("ledger_entry", rejected(code)),), fault)
    return rows
