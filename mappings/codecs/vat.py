"""VAT numbers, with their country in front and nothing between the characters (FR71635574122).

French numbers are read column by column: two check digits, (SIREN × 100 + 12) mod 97, before the SIREN. Those with
letters in the key, and other countries' (the European Union, Switzerland, Norway, the United Kingdom), are left to
python-stdnum.
"""

from __future__ import annotations

import re
from functools import partial

from stdnum.ch import uid as swiss
from stdnum.eu import vat as european
from stdnum.exceptions import ValidationError
from stdnum.gb import vat as british
from stdnum.no import mva as norwegian
from stdnum.util import clean

from mappings.codecs.cells import Cells, judged, nulled, picked, placed, present
from mappings.codecs.company_numbers import luhn
from mappings.codecs.layout import laid_out, number
from mappings.codecs.reading import Reading, Rule, refuse

DEFAULT_REGION = "FR"
_OTHERS = {"GB": british, "NO": norwegian, "CH": swiss}
_PREFIX = {"GR": "EL"}  # Greece's own letters in VAT numbers
_COUNTRIES = {country.upper() for country in european.MEMBER_STATES} | {"EL", "EU", "IM"} | set(_OTHERS)
_SWISS_TAX = re.compile(r"\s*(MWST|TVA|IVA|TPV)$")


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
    having, digits = laid_out(cells, "FRddddddddddd")
    siren, key = number(digits[2:]), number(digits[:2])
    monaco = (digits[2:5] == 0).all(axis=0)  # no SIREN, so no check digit of one
    keep = having.copy()
    keep[having] = (key == (siren * 100 + 12) % 97) & (monaco | luhn(digits[2:])) & (siren > 0)
    return nulled(cells, ~keep)


def vat_number(text: str, region: str) -> str | None:
    """One number by its country's rule; None where it breaks it."""
    written = re.sub(r"(?<=\d)\.0$", "", clean(text, "").upper().strip())
    if written[:2] not in _COUNTRIES:
        written = _PREFIX.get(region, region) + written
    country = written[:2]
    if country == "CH":
        written = _SWISS_TAX.sub("", written)  # one number, whatever the language it is written in
    try:
        found: str = _OTHERS.get(country, european).validate(written)
    except ValidationError:
        return None
    found = _PREFIX.get(found[:2], found[:2]) + found[2:] if found.startswith(country) else country + found
    return None if found.startswith("FR") and not found[4:].strip("0") else found
