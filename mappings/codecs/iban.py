"""IBANs without spaces, checked by ISO 7064 (mod 97) and by the form of their country.

French ones (FR, two check digits, ten digits, eleven letters or digits, two digits) are read column by column; the
others are left to python-stdnum.
"""

from __future__ import annotations

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray
from stdnum import iban
from stdnum.exceptions import ValidationError

from mappings.codecs.cells import Cells, Mask, contiguous, judged, nulled, picked, placed, present, rectangle, without
from mappings.codecs.reading import Reading, Rule, refuse

_WIDTH = 27
_FREE = ((np.arange(_WIDTH) >= 14) & (np.arange(_WIDTH) < 25))[:, None]  # where letters may stand
_FRENCH = np.frombuffer(b"FR", np.uint8)[:, None]


def decode_iban(cells: Cells, rule: Rule) -> Reading:
    """The IBAN in capitals without spaces."""
    del rule
    values = _french(without(contiguous(pc.ascii_upper(cells)), b" "))
    rest = present(cells) & ~present(values)
    if rest.any():
        values = placed(values, rest, judged(picked(cells, rest), iban_number))
    return refuse(values, present(cells) & ~present(values), "not_iban")


def _french(cells: Cells) -> Cells:
    where, matrix = rectangle(cells, _WIDTH)
    rows = np.ascontiguousarray(matrix.T)
    digit = (rows >= ord("0")) & (rows <= ord("9"))
    letter = (rows >= ord("A")) & (rows <= ord("Z"))
    good: Mask = np.asarray((rows[:2] == _FRENCH).all(axis=0) & (digit | (letter & _FREE))[2:].all(axis=0))
    good &= _remainder(np.roll(rows, -4, axis=0), np.roll(digit, -4, axis=0)) == 1
    keep = where.copy()
    keep[where] = good
    return nulled(cells, ~keep)


def _remainder(rows: NDArray[np.uint8], digit: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Each column as one long number, letters as 10 to 35, modulo 97."""
    rest = np.zeros(rows.shape[1], np.int32)
    for row, plain in zip(rows, digit, strict=True):
        value = row.astype(np.int32)
        if plain.all():
            rest = (rest * 10 + value - 48) % 97
        else:
            rest = np.where(plain, rest * 10 + value - 48, rest * 100 + value - 55) % 97
    return rest


def iban_number(text: str) -> str | None:
    """One IBAN; None where it breaks its country's form or the checksum."""
    try:
        number: str = iban.validate(text)
    except ValidationError:
        return None
    return number
