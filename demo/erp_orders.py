"""The ERP's orders: heads (E), lines (L) and a trailer (T) in one file without headers.

::

    E;number;account;date;reference;state            15 E and 40 L ... then  T;heads;lines
    L;number;line;product;text;quantity;unit;price;discount
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random

from demo import delimited, names
from demo.manifest import CREATED, WAITS, Row, rejected
from demo.world import World

ORDERS = 1_200
ORPHAN_LINES = 4
UNKNOWN_PRODUCTS = 3
CUT_LINES = 3
BAD_QUANTITIES = 2


def order_rows(
    world: World, companies: Mapping[str, str], products: Mapping[str, str], random: Random
) -> list[Row[bytes]]:
    """Heads and lines in file order; fates are labelled `document` and `document_line`, as the two flows are."""
    rows: list[Row[bytes]] = []
    references = [reference for reference, fate in products.items() if fate == CREATED]
    for number in range(1, ORDERS + 1):
        order, account = f"CMD{number:06d}", random.choice(world.customers).account
        head = CREATED if companies.get(account) == CREATED else WAITS
        day = f"{random.randrange(1, 29):02d}/{random.randrange(1, 11):02d}/2026"
        state = random.choice(("VALIDE", "VALIDE", "BROUILLON", "SOLDE"))
        cells = ("E", order, account, day, f"BC-{random.randrange(1000, 9999)}", state)
        fault = "customer not taken in" if head == WAITS else ""
        rows.append(Row(order, delimited.line(cells), (("document", head),), fault))
        for line in range(1, random.randrange(2, 6)):
            rows.append(_line(_cells(order, line, random.choice(references), random), head))
    return _with_faults(rows, products, random)


def _cells(order: str, line: int, product: str, random: Random) -> list[str]:
    price = f"{random.randrange(500, 60_000) / 100:.2f}".replace(".", ",")
    discount = random.choice(("0,00", "0,00", "5,00", "12,50"))
    return ["L", order, str(line), product, random.choice(names.PARTS), f"{random.randrange(1, 20)},00", "U", price,
        discount]


def _line(cells: list[str], fate: str, fault: str = "") -> Row[bytes]:
    return Row(cells[1], delimited.line(cells), (("document_line", fate),), fault)


def _with_faults(rows: list[Row[bytes]], products: Mapping[str, str], random: Random) -> list[Row[bytes]]:
    """Faults take lines whose head is sound, so that each has one cause."""
    lines = [index for index, row in enumerate(rows) if row.fates == (("document_line", CREATED),)]
    chosen = iter(random.sample(lines, UNKNOWN_PRODUCTS + CUT_LINES + BAD_QUANTITIES))
    refused = next(reference for reference, fate in products.items() if fate != CREATED)
    for product in ["ART9999"] * (UNKNOWN_PRODUCTS - 1) + [refused]:
        at = next(chosen)
        rows[at] = _changed(rows[at], 3, product, WAITS, "product that nobody knows")
    for _ in range(BAD_QUANTITIES):
        at = next(chosen)
        rows[at] = _changed(rows[at], 5, "deux", rejected("not_decimal"), "quantity in words")
    for _ in range(CUT_LINES):
        at = next(chosen)
        fates = (("document_line", rejected("columns")),)
        rows[at] = Row(rows[at].key, delimited.cut_short(rows[at].content), fates, "line cut short")
    orphans = [
        _line(_cells("CMD999999", number, "ART0001", random), WAITS, "order that nobody knows")
        for number in range(1, ORPHAN_LINES + 1)
    ]
    return rows + orphans


def _changed(row: Row[bytes], column: int, value: str, fate: str, fault: str) -> Row[bytes]:
    parts = row.content.split(b";")
    parts[column] = value.encode("cp1252")
    return Row(row.key, b";".join(parts), (("document_line", fate),), fault)


def heads_and_lines(rows: Sequence[Row[bytes]]) -> tuple[int, int]:
    heads = sum(row.content.startswith(b"E;") for row in rows)
    return heads, len(rows) - heads


def trailer(rows: Sequence[Row[bytes]]) -> bytes:
    heads, lines = heads_and_lines(rows)
    return f"T;{heads};{lines}".encode()
