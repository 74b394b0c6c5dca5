"""The CMMS's clients: the ERP's customers under other numbers, mostly without SIRET, spelled its own way."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from random import Random

from demo import delimited, identifiers
from demo.manifest import CREATED, LINKED, Row, rejected, review
from demo.world import Customer, World, customer_name

HEADER = "client_code,name,siret,postcode,city,phone"
KNOWN = 780
NEW = 12
DOUBTFUL = 6
BAD_SIRETS = 4
DAMAGED = (("byte that is no UTF-8", 2, "bytes"), ("line cut short", 3, "columns"))
NAME = 1


def _spelled(name: str, random: Random) -> str:
    """Capitals without accents, or as it is, or with a space too many."""
    folded = unicodedata.normalize("NFKD", name.replace("œ", "oe")).encode("ascii", "ignore").decode()
    return random.choice((folded.upper(), name, name.replace(" ", "  ", 1)))


def client_rows(world: World, companies: Mapping[str, str], random: Random) -> tuple[list[Row[bytes]], dict[str, str]]:
    """The rows, and which ERP account each client code that is taken in stands for ('' for the new ones)."""
    lookalikes = {account for pair in world.lookalikes for account in pair}
    sound = [c for c in world.customers if companies.get(c.account) == CREATED and c.account not in lookalikes]
    chosen = iter(random.sample(sound, KNOWN + DOUBTFUL + BAD_SIRETS + 5))
    rows: list[Row[bytes]] = []
    taken: dict[str, str] = {}

    def add(customer: Customer, siret: str, fate: str, fault: str = "", account: str | None = None) -> bytes:
        code = f"{len(rows) + 1:04d}-{customer.postal_code[:2]}"
        name = _spelled(customer.name, random)
        phone = identifiers.spelled(random, customer.phone)
        content = delimited.line((code, name, siret, customer.postal_code, customer.town, phone), ",", "utf-8")
        rows.append(Row(code, content, (("company", fate),), fault))
        if account is not None:
            taken[code] = account
        return content

    for _ in range(KNOWN):
        customer = next(chosen)
        add(customer, customer.siret if random.random() < 0.4 else "", LINKED, account=customer.account)
    for number in range(DOUBTFUL):
        stranger = identifiers.siret(identifiers.siren(20_000 + number))
        add(next(chosen), stranger, review("doubtful"), "same name and town, another SIRET")
    for first, _ in world.lookalikes:
        customer = next(c for c in world.customers if c.account == first)
        add(customer, "", review("ambiguous"), "two companies of one name in one town")
    for _ in range(BAD_SIRETS):
        customer = next(chosen)
        wrong = identifiers.with_wrong_last_digit(customer.siret)
        add(customer, wrong, rejected("not_siret"), "SIRET with a wrong digit")
    for number in range(NEW):
        siren = identifiers.siren(21_000 + number)
        fresh = Customer("", f"Syndic {customer_name(random)} {number}", identifiers.siret(siren), "", "", "69003",
            "Lyon",
                         identifiers.phone(random), "")
        add(fresh, fresh.siret, CREATED, account="")
    for fault, count, code in DAMAGED:
        for _ in range(count):
            content = add(next(chosen), "", rejected(code), fault)
            broken = (delimited.cut_short(content, b",") if code == "columns"
                      else delimited.with_an_impossible_byte(content, NAME, b",", b"\xe9"))
            rows[-1] = Row(rows[-1].key, broken, rows[-1].fates, fault)
    random.shuffle(rows)
    return rows, taken
