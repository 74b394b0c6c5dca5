"""SIREN and SIRET: the numbers of French companies and of their establishments.

Nine digits, and fourteen of which the first nine are the SIREN; the last digit of each is a Luhn check digit. The
establishments of La Poste (SIREN 356000000), other than its head office, have a checksum of their own: the sum of the
digits is a multiple of 5. Source: INSEE, and the article "Système d'identification du répertoire des établissements"
of the French Wikipedia.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from stdnum.exceptions import ValidationError
from stdnum.fr import siren, siret

from mappings.codecs.cells import (
    TEXT,
    Cells,
    Mask,
    cells_from,
    contiguous,
    judged,
    matches,
    nulled,
    picked,
    placed,
    present,
)
from mappings.codecs.layout import Digits, laid_out, written
from mappings.codecs.reading import Reading, Rule, refuse

Check = Callable[[Digits], Mask]
_LA_POSTE = np.frombuffer(b"356000000", np.uint8)[:, None] - 48
_LA_POSTE_HEAD_OFFICE = np.frombuffer(b"35600000000048", np.uint8)[:, None] - 48
_DOUBLED = np.array([0, 2, 4, 6, 8, 1, 3, 5, 7, 9], np.uint8)  # the sum of the digits of the double
_LAYOUTS = {9: ("ddddddddd", "ddd_ddd_ddd"), 14: ("dddddddddddddd", "ddd_ddd_ddd_ddddd")}


def luhn(digits: Digits) -> Mask:
    """The columns of digits whose Luhn checksum holds."""
    total = np.zeros(digits.shape[1], np.int16)
    for place, row in enumerate(digits[::-1]):
        total += row if place % 2 == 0 else _DOUBLED[row]
    good: Mask = total % 10 == 0
    return good


def siren_holds(digits: Digits) -> Mask:
    # Nine zeros pass the checksum and stand in many files for "none": they would make strangers one company.
    return luhn(digits) & digits.any(axis=0)


def siret_holds(digits: Digits) -> Mask:
    holds = luhn(digits)
    la_poste = (digits[:9] == _LA_POSTE).all(axis=0)
    if la_poste.any():
        branch = la_poste & ~(digits == _LA_POSTE_HEAD_OFFICE).all(axis=0)
        holds = np.where(branch, digits.sum(axis=0, dtype=np.int16) % 5 == 0, holds)
    good: Mask = holds & siren_holds(digits[:9])
    return good


def decode_siren(cells: Cells, rule: Rule) -> Reading:
    """Nine digits; spaces and points between them, `.0` behind, and one lost leading zero are put right."""
    del rule
    return _decode(cells, 9, siren_holds, "not_siren")


def decode_siret(cells: Cells, rule: Rule) -> Reading:
    """Fourteen digits; spaces and points between them, `.0` behind, and one lost leading zero are put right."""
    del rule
    return _decode(cells, 14, siret_holds, "not_siret")


def _decode(cells: Cells, width: int, check: Check, code: str) -> Reading:
    bare, parted = _LAYOUTS[width]
    found = _checked(cells, bare, check)
    slower: tuple[Callable[[Cells], Cells], ...] = (
        lambda rest: _checked(rest, parted, check),
        lambda rest: _checked(_tidied(rest, width), bare, check),
        lambda rest: judged(rest, _library(width)),
    )
    for again in slower:
        open_ = present(cells) & ~present(found)
        if not open_.any():
            return Reading(found)
        found = placed(found, open_, again(picked(cells, open_)))
    return refuse(found, present(cells) & ~present(found), code)


def _checked(cells: Cells, layout: str, check: Check) -> Cells:
    """The numbers among the cells that have the layout and pass the check, without gaps; null elsewhere."""
    having, digits = laid_out(cells, layout)
    good = check(digits)
    keep = having.copy()
    keep[having] = good
    if "_" not in layout:
        return nulled(cells, ~keep)
    return placed(pa.nulls(len(cells), TEXT), keep, cells_from(written(digits[:, good])))


def _tidied(cells: Cells, width: int) -> Cells:
    bare = pc.replace_substring_regex(cells, r"\.0*$", "")  # a spreadsheet's number
    bare = pc.replace_substring_regex(bare, r"[\s.\p{Z}]", "")
    short = matches(bare, rf"^\d{{{width - 1}}}$")
    return contiguous(placed(bare, short, pc.utf8_lpad(picked(bare, short), width, "0")))


def _library(width: int) -> Callable[[str], str | None]:
    module: Any = siren if width == 9 else siret

    def judge(text: str) -> str | None:
        try:
            number: str = module.validate(text)
        except ValidationError:
            return None
        return number if number[:9].strip("0") else None

    return judge
