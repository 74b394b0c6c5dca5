"""SIREN and SIRET: the numbers of French companies and of their establishments.

Nine digits, and fourteen of which the first nine are the SIREN; the last digit of each is a Luhn check digit. The
establishments of La Poste (SIREN 356000000), other than its head office, have a checksum of their own: the sum of the
digits is a multiple of 5. Source: INSEE, and https://fr.wikipedia.org/wiki/Système_d'identification_du_répertoire_des_établissements
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray
from stdnum.exceptions import ValidationError
from stdnum.fr import siren, siret

from mappings.codecs.cells import (
    Cells,
    Mask,
    contiguous,
    judged,
    matches,
    nulled,
    picked,
    placed,
    present,
    rectangle,
)
from mappings.codecs.reading import Reading, Rule, refuse

Check = Callable[[NDArray[np.uint8]], Mask]
_DOUBLED = np.array([0, 2, 4, 6, 8, 1, 3, 5, 7, 9], np.uint8)
_LA_POSTE = np.frombuffer(b"356000000", np.uint8) - 48
_LA_POSTE_HEAD_OFFICE = np.frombuffer(b"35600000000048", np.uint8) - 48


def luhn(digits: NDArray[np.uint8]) -> Mask:
    """Rows of digits whose Luhn checksum holds."""
    backwards = digits[:, ::-1]
    total = backwards[:, ::2].sum(axis=1, dtype=np.int64) + _DOUBLED[backwards[:, 1::2]].sum(axis=1, dtype=np.int64)
    good: Mask = total % 10 == 0
    return good


def siren_holds(digits: NDArray[np.uint8]) -> Mask:
    # Nine zeros pass the checksum and stand in many files for "none": they would make strangers one company.
    return luhn(digits) & digits.any(axis=1)


def siret_holds(digits: NDArray[np.uint8]) -> Mask:
    la_poste = (digits[:, :9] == _LA_POSTE).all(axis=1) & ~(digits == _LA_POSTE_HEAD_OFFICE).all(axis=1)
    own = np.where(la_poste, digits.sum(axis=1, dtype=np.int64) % 5 == 0, luhn(digits))
    return own & siren_holds(digits[:, :9])


def decode_siren(cells: Cells, rule: Rule) -> Reading:
    """Nine digits; spaces and points between them, `.0` behind, and one lost leading zero are put right."""
    return _decode(cells, 9, siren_holds, "not_siren", rule)


def decode_siret(cells: Cells, rule: Rule) -> Reading:
    """Fourteen digits; spaces and points between them, `.0` behind, and one lost leading zero are put right."""
    return _decode(cells, 14, siret_holds, "not_siret", rule)


def _decode(cells: Cells, width: int, check: Check, code: str, rule: Rule) -> Reading:
    del rule
    found = valid_numbers(cells, width, check)
    open_ = present(cells) & ~present(found)
    if open_.any():
        rest = picked(cells, open_)
        again = valid_numbers(_tidied(rest, width), width, check)
        left = ~present(again)
        again = placed(again, left, judged(picked(rest, left), _library(width)))
        found = placed(found, open_, again)
        return refuse(found, present(cells) & ~present(found), code)
    return Reading(found)


def valid_numbers(cells: Cells, width: int, check: Check) -> Cells:
    """The cells that are exactly `width` digits and pass the check; null elsewhere."""
    where, matrix = rectangle(cells, width)
    digits = matrix - np.uint8(48)  # wraps around for bytes before '0'
    good: Mask = np.asarray((digits < 10).all(axis=1))
    good[good] = check(digits[good])
    if where.all() and good.all():
        return cells
    keep = where.copy()
    keep[where] = good
    return nulled(cells, ~keep)


def _tidied(cells: Cells, width: int) -> Cells:
    bare = pc.replace_substring_regex(cells, r"\.0*$", "")  # a spreadsheet's number
    bare = pc.replace_substring_regex(bare, r"[\s.\p{Z}]", "")
    short = matches(bare, rf"^\d{{{width - 1}}}$")
    return contiguous(placed(bare, short, pc.utf8_lpad(picked(bare, short), width, "0")))


def _library(width: int) -> Callable[[str], str | None]:
    module = siren if width == 9 else siret

    def judge(text: str) -> str | None:
        try:
            number: str = module.validate(text)
        except ValidationError:
            return None
        return number if number[:9].strip("0") else None

    return judge



