"""Numbers of French companies and telephones that look right and belong to nobody."""

from __future__ import annotations

from random import Random

PREFIX = "999"
"""No company has a SIREN beginning with this: the register has not got that far."""

FICTIONAL = ("019900", "026191", "035301", "046571", "053649")
"""First six digits of the ranges that the French regulator keeps for films and books."""

SPELLINGS = ("{0}{1}{2}{3}{4}", "{0} {1} {2} {3} {4}", "{0}.{1}.{2}.{3}.{4}", "+33 {5} {1} {2} {3} {4}",
    "{0}-{1}-{2}-{3}-{4}")


def check_digit(body: str) -> str:
    """The digit that makes `body` + digit pass the Luhn check."""
    total = 0
    for position, digit in enumerate(reversed(body)):
        value = int(digit) * (2 if position % 2 == 0 else 1)
        total += value - 9 if value > 9 else value
    return str(-total % 10)


def siren(number: int) -> str:
    """The `number`-th SIREN: nine digits, the last a check digit."""
    body = f"{PREFIX}{number:05d}"
    return body + check_digit(body)


def siret(siren_: str, establishment: int = 1) -> str:
    """The SIRET of an establishment: SIREN, four digits, and a check digit over all fourteen."""
    body = f"{siren_}{establishment:04d}"
    return body + check_digit(body)


def vat_number(siren_: str) -> str:
    """FR, a key of two digits computed from the SIREN, and the SIREN."""
    return f"FR{(12 + 3 * (int(siren_) % 97)) % 97:02d}{siren_}"


def with_wrong_last_digit(number: str) -> str:
    return number[:-1] + str((int(number[-1]) + 1) % 10)


def phone(random: Random) -> str:
    """Ten digits of a fictional range."""
    return random.choice(FICTIONAL) + f"{random.randrange(10_000):04d}"


def spelled(random: Random, number: str) -> str:
    """The same number the way people write it."""
    pairs = [number[i : i + 2] for i in range(0, 10, 2)]
    return random.choice(SPELLINGS).format(*pairs, number[1])
