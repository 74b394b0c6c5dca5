"""Phone numbers, in E.164 (+33612345678).

French numbers in their usual forms are read column by column; every other form and country is left to Google's
numbering plans (phonenumbers). A number counts if it has the shape of its country's plan. Whether its range has been
given to an operator is not asked: ranges are opened faster than libraries are updated, and those that are reserved for
fiction stand in test files.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache, partial

import phonenumbers
import pyarrow as pa
import pyarrow.compute as pc

from mappings.codecs.cells import (
    TEXT,
    Cells,
    cells_from,
    judged,
    matches,
    picked,
    placed,
    plain_spaces,
    present,
    without,
)
from mappings.codecs.layout import laid_out, written
from mappings.codecs.reading import Reading, Rule, refuse

DEFAULT_REGION = "FR"
_GAP = r"[ .\-]?"
_FRENCH = rf"^(?:(?:\+|00)33 ?(?:\(0\) ?)?{_GAP}|0?)[1-9](?:{_GAP}\d{{2}}){{4}}$"
_LAYOUTS = ("0ddddddddd", "+33ddddddddd", "0d_dd_dd_dd_dd")  # the most usual ones first
_WRITTEN = re.compile(r"[\d\s+().\-/\u2010-\u2015\u2212\u00ad]+")


def decode_phone(cells: Cells, rule: Rule) -> Reading:
    """E.164. Numbers without a country code are of the field's `region` (default FR)."""
    region = rule.region or DEFAULT_REGION
    values: Cells = pa.nulls(len(cells), TEXT)
    if region == "FR":
        values = _french(cells)
    rest = present(cells) & ~present(values)
    if rest.any():
        values = placed(values, rest, judged(picked(cells, rest), partial(e164, region=region)))
    return refuse(values, present(cells) & ~present(values), "not_phone", region=region)


def _french(cells: Cells) -> Cells:
    cells = plain_spaces(cells)
    values: Cells = pa.nulls(len(cells), TEXT)
    for layout in _LAYOUTS:
        having, digits = laid_out(cells, layout)
        good = digits[0] > 0
        having[having] = good
        values = placed(values, having, cells_from(written(digits[:, good], b"+33")))
    usual = ~present(values)
    if usual.any():
        usual &= matches(cells, _FRENCH)
    digits_only = without(picked(cells, usual), b" .-")
    numbers = pc.binary_join_element_wise(
        pa.scalar("+33", TEXT), pc.utf8_slice_codeunits(digits_only, -9), pa.scalar("", TEXT)
    )
    return placed(values, usual, numbers)


def e164(text: str, region: str) -> str | None:
    """One number by its country's plan; None where it does not fit, or holds more than one number."""
    plain = re.sub(r"(?<=\d)\.0$", "", text) if text.count(".") == 1 else text
    if not _WRITTEN.fullmatch(plain):
        return None  # letters, lists, extensions: something would be lost
    try:
        number = phonenumbers.parse(plain, region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    fits = _plan(number.country_code or 0)
    national = phonenumbers.national_significant_number(number)
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164) if fits(national) else None


@cache
def _plan(country_code: int) -> Callable[[str], bool]:
    """Whether a national number has the shape of a country's plan; +800 and the like are countries of their own."""
    region = phonenumbers.region_code_for_country_code(country_code)
    if region == phonenumbers.REGION_CODE_FOR_NON_GEO_ENTITY:
        plan = phonenumbers.PhoneMetadata.metadata_for_nongeo_region(country_code, None)
    else:
        plan = phonenumbers.PhoneMetadata.metadata_for_region(region, None)
    shape = plan and plan.general_desc and plan.general_desc.national_number_pattern
    if not shape:
        return bool
    pattern = re.compile(shape)
    return lambda national: pattern.fullmatch(national) is not None
