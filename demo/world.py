"""The customers that all systems of the demo know, each in its own way, made from one seed."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, replace
from random import Random

from demo import identifiers, names

CUSTOMERS = 4_985
"""With the fifteen lines that repeat a key, the ERP's file has 5,000."""
LOOKALIKES = 5
"""Pairs of different companies with one name in one town."""
LATE_CUSTOMERS = 60
"""Customers of the northern branch, whose file comes a day late."""


@dataclass(frozen=True)
class Customer:
    account: str
    name: str
    siret: str
    vat_number: str
    street: str
    postal_code: str
    town: str
    phone: str
    email: str
    group: str = ""

    @property
    def domain(self) -> str:
        return self.email.partition("@")[2]


def plain(text: str) -> str:
    """Lower-case ASCII letters and hyphens, for e-mail addresses."""
    text = text.replace("œ", "oe").replace("Œ", "Oe")
    folded = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return "-".join("".join(c if c.isalnum() else " " for c in folded).split())


def customer_name(random: Random) -> str:
    """What a company is called, without its legal form."""
    trade = random.choice(names.TRADES)
    tail = random.choice(names.SIGNS) if random.random() < 0.4 else random.choice(names.LAST)
    return f"{trade} {tail}" + (" & Fils" if random.random() < 0.05 else "")


def make_customer(random: Random, number: int, account: str, taken: set[tuple[str, str]]) -> Customer:
    """A customer whose name and postal code no other has, legal form aside: only planted twins look alike."""
    while True:
        form, called = random.choice(names.FORMS), customer_name(random)
        postal_code, town = random.choice(names.TOWNS)
        if (called, postal_code) not in taken:
            taken.add((called, postal_code))
            break
    name = form + called
    siren = identifiers.siren(number)
    return Customer(
        account=account, name=name, siret=identifiers.siret(siren), vat_number=identifiers.vat_number(siren),
        street=f"{random.randrange(1, 180)} {random.choice(names.STREETS)}", postal_code=postal_code, town=town,
        phone=identifiers.phone(random), email=f"contact@{plain(name)}-{number}.example",
    )


@dataclass(frozen=True)
class World:
    customers: tuple[Customer, ...]
    late: tuple[Customer, ...]
    lookalikes: tuple[tuple[str, str], ...]
    """Pairs of accounts."""


def make_world(seed: int = 1) -> World:
    """The same world for the same seed, on every machine.

    One customer in eight belongs to a group: the head's account is its `group`. A subsidiary is an establishment of
    its own company, not of the head's, and a head may stand after its subsidiaries in the file.
    """
    random = Random(seed)
    taken: set[tuple[str, str]] = set()
    customers = [make_customer(random, n, f"C{n:05d}", taken) for n in range(1, CUSTOMERS + 1)]
    late = [make_customer(random, 9_000 + n, f"N{n:05d}", taken) for n in range(1, LATE_CUSTOMERS + 1)]
    heads = dict(zip((head.account for head in random.sample(customers, 60)), random.sample(names.LAST, 60),
        strict=True))
    accounts = list(heads)
    customers = [
        replace(customer, name=f"Groupe {heads[customer.account]}") if customer.account in heads
        else replace(customer, group=random.choice(accounts)) if random.random() < 0.125
        else customer
        for customer in customers
    ]
    lonely = random.sample([n for n, c in enumerate(customers) if not c.group and c.account not in heads],
        2 * LOOKALIKES)
    lookalikes: list[tuple[str, str]] = []
    for one, other in zip(lonely[::2], lonely[1::2], strict=True):
        customers[one] = replace(customers[one], name=f"Pharmacie du Marché {len(lookalikes) + 1}")
        same = {"name": customers[one].name, "postal_code": customers[one].postal_code, "town": customers[one].town}
        customers[other] = replace(customers[other], **same)
        lookalikes.append((customers[one].account, customers[other].account))
    return World(tuple(customers), tuple(late), tuple(lookalikes))
