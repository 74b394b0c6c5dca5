"""The ERP's customers: 5,000 lines of Windows-1252 with semicolons, and what is wrong with some of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from random import Random

from demo import delimited, identifiers
from demo.manifest import CREATED, SKIPPED, SUPERSEDED, WAITS, Row, rejected, review
from demo.world import Customer, World

HEADER = (
    "CT_NUM;CT_INTITULE;CT_TYPE;CT_SOMMEIL;SIRET;TVA;CODE_GROUPE;ADRESSE;CP;VILLE;PAYS;TEL;EMAIL;N_REGLEMENT;ENCOURS;DEVISE;"
    "DATE_CREATION;COMMENTAIRE"
)
COLUMNS = HEADER.split(";")
NAME = COLUMNS.index("CT_INTITULE")
COMMENTS = ("Portail vert; sonner deux fois", 'Dit "le Château"', "Code à l'entrée\nvoir gardien")
Cells = dict[str, str]
UNKNOWN_HEAD = "C99999"


@dataclass(frozen=True)
class Fault:
    """A kind of fault: how many rows have it, what it does to the cells, and what becomes of the company."""

    name: str
    rows: int
    fate: str
    change: Callable[[Cells], Cells]


def setting(**cells: str) -> Callable[[Cells], Cells]:
    return lambda old: {**old, **cells}


FAULTS = (
    Fault("name missing", 11, rejected("required"), setting(CT_INTITULE="")),
    Fault("SIRET with a wrong digit", 25, rejected("not_siret"),
          lambda old: {**old, "SIRET": identifiers.with_wrong_last_digit(old["SIRET"])}),
    Fault("VAT number with a wrong key", 7, rejected("not_vat"),
          lambda old: {**old, "TVA": f"FR{(int(old['TVA'][2:4]) + 1) % 97:02d}{old['TVA'][4:]}"}),
    Fault("unknown payment code", 14, rejected("unknown_code"), setting(N_REGLEMENT="TROC")),
    Fault("a day that does not exist", 6, rejected("not_date"), setting(DATE_CREATION="31/02/2019")),
    Fault("amount that is no number", 5, rejected("not_decimal"), setting(ENCOURS="voir compta")),
    Fault("phone number too short", 8, rejected("not_phone"), setting(TEL="01 99 00 1")),
    Fault("e-mail without a domain", 10, rejected("not_email"), setting(EMAIL="contact@")),
    Fault("account number missing", 3, rejected("no_key"), setting(CT_NUM="")),
    Fault("credit limit beyond the expectation", 4, rejected("expectation"), setting(ENCOURS="9000000,00")),
    Fault("supplier among the customers", 120, SKIPPED, setting(CT_TYPE="1")),
    Fault("group head that nobody knows", 3, WAITS, setting(CODE_GROUPE=UNKNOWN_HEAD)),
    Fault("group head in a file that comes later", 5, WAITS, setting(CODE_GROUPE="N00001")),
)
DAMAGE: tuple[tuple[str, int, str, Callable[[bytes], bytes]], ...] = (
    ("line cut short", 6, "columns", delimited.cut_short),
    ("stray delimiter", 3, "columns", lambda line: delimited.with_a_stray_delimiter(line, NAME)),
    ("byte that is no character", 4, "bytes", lambda line: delimited.with_an_impossible_byte(line, NAME)),
    ("quote never closed", 3, "quote", lambda line: delimited.with_an_open_quote(line, NAME)),
)
BAD_POSTAL_CODES = 9
TWINS = 6
REPEATED = 15


def cells_of(customer: Customer, random: Random) -> Cells:
    """A customer as the ERP writes it; half of the optional cells are empty."""
    siret = customer.siret
    spaced = f"{siret[:3]} {siret[3:6]} {siret[6:9]} {siret[9:]}"
    limit = random.randrange(0, 80) * 500
    written = f"{limit:,}".replace(",", "\xa0" if random.random() < 0.5 else "")
    return {
        "CT_NUM": customer.account, "CT_INTITULE": customer.name, "CT_TYPE": "0",
        "CT_SOMMEIL": "1" if random.random() < 0.02 else "0",
        "SIRET": siret if random.random() < 0.8 else spaced,
        "TVA": customer.vat_number, "CODE_GROUPE": customer.group, "ADRESSE": customer.street,
        "CP": customer.postal_code,
        "VILLE": customer.town.upper() if random.random() < 0.3 else customer.town, "PAYS": "FR",
        "TEL": identifiers.spelled(random, customer.phone) if random.random() < 0.9 else "",
        "EMAIL": customer.email if random.random() < 0.7 else "", "N_REGLEMENT": random.choice(("VIR", "CHQ", "PRL",
            "LCR")),
        "ENCOURS": f"{written},00", "DEVISE": "EUR" if random.random() < 0.9 else "",
        "DATE_CREATION": f"{random.randrange(1, 29):02d}/{random.randrange(1, 13):02d}/{random.randrange(1998, 2026)}",
        "COMMENTAIRE": random.choice(COMMENTS) if random.random() < 0.05 else "",
    }


def address_fate(company: str) -> str:
    """What becomes of the address beside a company that fares like `company`."""
    if company in {SKIPPED, SUPERSEDED, rejected("no_key")}:
        return company
    return CREATED if company == CREATED else WAITS


def row(cells: Cells, fate: str, fault: str = "") -> Row[bytes]:
    fates = (("company", fate), ("address", address_fate(fate)))
    return Row(cells["CT_NUM"] or f"?{cells['CT_INTITULE']}", delimited.line(cells.values()), fates, fault)


def _damaged(cells: Cells, code: str, name: str, damage: Callable[[bytes], bytes]) -> Row[bytes]:
    whole = {**cells, "COMMENTAIRE": ""}
    fates = (("company", rejected(code)), ("address", rejected(code)))
    return Row(f"damaged {cells['CT_NUM']}", damage(delimited.line(whole.values())), fates, name)


def _without(cells: dict[str, Cells], accounts: Iterator[str], count: int) -> list[Cells]:
    return [cells.pop(next(accounts)) for _ in range(count)]


def customer_rows(world: World, random: Random) -> list[Row[bytes]]:
    """All lines of the first day in file order.

    Each fault takes its rows from those that are sound; heads of groups are spared, or one bad line would hide another
    fault behind "waits for its head". Four heads are faulted on purpose: what hangs on them waits.
    """
    sound = {customer.account: cells_of(customer, random) for customer in world.customers}
    heads = {customer.group for customer in world.customers if customer.group}
    spared = heads | {account for pair in world.lookalikes for account in pair}
    plain = [account for account in sound if account not in spared and not sound[account]["CODE_GROUPE"]]
    random.shuffle(plain)
    accounts = iter(plain)
    rows: list[Row[bytes]] = []
    for name, count, code, damage in DAMAGE:
        rows += [_damaged(cells, code, name, damage) for cells in _without(sound, accounts, count)]
    for fault in FAULTS:
        rows += [row(fault.change(cells), fault.fate, fault.name) for cells in _without(sound, accounts, fault.rows)]
    for cells in _without(sound, accounts, TWINS):
        (other,) = _without(sound, accounts, 1)
        same = {**other, "SIRET": cells["SIRET"].replace(" ", "")}
        rows += [row(each, review("twins"), "two accounts, one SIRET") for each in (cells, same)]
    for cells in _without(sound, accounts, BAD_POSTAL_CODES):
        fates = (("company", CREATED), ("address", rejected("not_postal_code")))
        rows.append(replace(row({**cells, "CP": "750l5"}, CREATED, "postal code with a letter"), fates=fates))
    for cells in _without(sound, accounts, REPEATED):
        older = {**cells, "CT_INTITULE": cells["CT_INTITULE"] + " (ancien nom)"}
        rows += [row(older, SUPERSEDED, "account repeated further down"), row(cells, CREATED)]
    rows += _cycles(_without(sound, accounts, 5))
    faulted = set(random.sample(sorted(heads), 4))
    for account, cells in sound.items():
        if account in faulted:
            rows.append(row({**cells, "CT_INTITULE": ""}, rejected("required"), "name of a group head missing"))
        else:
            waits = cells["CODE_GROUPE"] in faulted
            rows.append(row(cells, WAITS if waits else CREATED, "group head refused" if waits else ""))
    return _shuffled_in_place(rows, random)


def _cycles(cells: list[Cells]) -> list[Row[bytes]]:
    """Two companies that are each other's head, twice, and one that is its own."""
    a, b, c, d, own = cells
    pairs = ((a, b), (b, a), (c, d), (d, c), (own, own))
    return [row({**each, "CODE_GROUPE": head["CT_NUM"]}, CREATED, "cycle of group heads") for each, head in pairs]


def _shuffled_in_place(rows: list[Row[bytes]], random: Random) -> list[Row[bytes]]:
    """Mixed, but a repeated account's rows stay in their order."""
    order = list(range(len(rows)))
    random.shuffle(order)
    places: dict[str, list[int]] = {}
    for place, index in enumerate(order):
        places.setdefault(rows[index].key, []).append(place)
    mixed: list[Row[bytes] | None] = [None] * len(rows)
    for each in rows:
        mixed[places[each.key].pop(0)] = each
    return [each for each in mixed if each is not None]


def late_rows(world: World, random: Random) -> list[Row[bytes]]:
    """The northern branch, a day late, without fault."""
    return [row(cells_of(customer, random), CREATED) for customer in world.late]
