"""VAT numbers, with their country in front and nothing between the characters (FR71635574122).

French numbers are read column by column: two check digits, (SIREN × 100 + 12) mod 97, before the SIREN. Those with
letters in the key, and other countries' (the European Union, Switzerland, Norway, the United Kingdom), are left to
python-stdnum.
"""

from __future__ import annotations

import re
from functools import partial

import numpy as np
from numpy.typing import NDArray
from stdnum.ch import uid as swiss
from stdnum.eu import vat as european
from stdnum.exceptions import ValidationError
from stdnum.gb import vat as british
from stdnum.no import mva as norwegian
from stdnum.util import clean

from mappings.codecs.cells import Cells, Mask, judged, nulled, picked, placed, present, rectangle
from mappings.codecs.company_numbers import luhn
from mappings.codecs.reading import Reading, Rule, refuse

DEFAULT_REGION = "FR"
_FRENCH = np.frombuffer(b"FR", np.uint8)
_PLACES = 10 ** np.arange(8, -1, -1, dtype=np.int64)
_OTHERS = {"GB": british, "NO": norwegian, "CH": swiss}
_PREFIX = {"GR": "EL"}  # Greece's own letters in VAT numbers
_COUNTRIES = {country.upper() for country in european.MEMBER_STATES} | {"EL", "EU", "IM"} | set(_OTHERS)
_SWISS_TAX = re.compile(r"(MWST|TVA|IVA|TPV)$")


def decode_vat(cells: Cells, rule: Rule) -> Reading:
    """The number with its country; numbers without one are of the field's `region` (default FR)."""
    values = french_vat(cells)
    rest = present(cells) & ~present(values)
    if rest.any():
        judge = partial(vat_number, region=rule.region or DEFAULT_REGION)
        values = placed(values, rest, judged(picked(cells, rest), judge))
    return refuse(values, present(cells) & ~present(values), "not_vat")


def french_vat(cells: Cells) -> Cells:
    """The cells that are valid French numbers in canonical form; null elsewhere."""
    where, matrix = rectangle(cells, 13)
    digits = matrix[:, 2:] - np.uint8(48)  # wraps around for bytes before '0'
    good: Mask = np.asarray((matrix[:, :2] == _FRENCH).all(axis=1) & (digits < 10).all(axis=1))
    good[good] = _key_holds(digits[good])
    keep = where.copy()
    keep[where] = good
    return nulled(cells, ~keep)


def _key_holds(digits: NDArray[np.uint8]) -> Mask:
    siren = digits[:, 2:].astype(np.int64) @ _PLACES
    key = digits[:, 0].astype(np.int64) * 10 + digits[:, 1]
    monaco = (digits[:, 2:5] == 0).all(axis=1)  # no SIREN, so no check digit of one
    holds: Mask = (key == (siren * 100 + 12) % 97) & (monaco | luhn(digits[:, 2:])) & (siren > 0)
    return holds


def vat_number(text: str, region: str) -> str | None:
    """One number by its country's rule; None where it breaks it."""
    written = re.sub(r"(?<=\d)\.0$", "", clean(text, "").upper().strip())
    if written[:2] not in _COUNTRIES:
        written = _PREFIX.get(region, region) + written
    country = written[:2]
    try:
        number: str = _OTHERS.get(country, european).validate(written)
    except ValidationError:
        return None
    if country == "CH":
        return _SWISS_TAX.sub("", number)  # one number whatever the language it is written in
    number = _PREFIX.get(number[:2], number[:2]) + number[2:] if number.startswith(country) else country + number
    return None if number.startswith("FR") and not number[4:].strip("0") else number
