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

from mappings.codecs.cells import Cells, Mask, contiguous, holds, judged, nulled, picked, placed, present, rectangle
from mappings.codecs.reading import Reading, Rule, refuse

_WIDTH = 27
_LETTERS_FROM, _LETTERS_TO = 14, 25
_FRENCH = np.frombuffer(b"FR", np.uint8)


def decode_iban(cells: Cells, rule: Rule) -> Reading:
    """The IBAN in capitals without spaces."""
    del rule
    bare = contiguous(pc.ascii_upper(cells))
    if holds(bare, b" "):
        bare = contiguous(pc.replace_substring(bare, " ", ""))
    values = _french(bare)
    rest = present(cells) & ~present(values)
    if rest.any():
        values = placed(values, rest, judged(picked(cells, rest), iban_number))
    return refuse(values, present(cells) & ~present(values), "not_iban")


def _french(cells: Cells) -> Cells:
    where, matrix = rectangle(cells, _WIDTH)
    digit = (matrix >= ord("0")) & (matrix <= ord("9"))
    letter = (matrix >= ord("A")) & (matrix <= ord("Z"))
    places = np.arange(_WIDTH)
    free = (places >= _LETTERS_FROM) & (places < _LETTERS_TO)
    good: Mask = np.asarray((matrix[:, :2] == _FRENCH).all(axis=1) & (digit | (letter & free))[:, 2:].all(axis=1))
    good &= _remainder(np.roll(matrix, -4, axis=1), np.roll(digit, -4, axis=1)) == 1
    keep = where.copy()
    keep[where] = good
    return nulled(cells, ~keep)


def _remainder(matrix: NDArray[np.uint8], digit: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Each row as one long number, letters as 10 to 35, modulo 97."""
    numbers = np.where(digit, matrix - np.uint8(48), matrix - np.uint8(55)).astype(np.int64)
    rest = np.zeros(len(matrix), np.int64)
    for place in range(matrix.shape[1]):
        rest = (rest * np.where(digit[:, place], 10, 100) + numbers[:, place]) % 97
    return rest


def iban_number(text: str) -> str | None:
    """One IBAN; None where it breaks its country's form or the checksum."""
    try:
        number: str = iban.validate(text)
    except ValidationError:
        return None
    return number
