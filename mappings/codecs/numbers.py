"""Whole numbers and exact decimals, as the files of two continents write them.

::

    345016.68   345 016,68   1.234.567,89   1,234,567.89   12'345.60   (150,00)   150,00-   150,00+   1E+05

Spaces and apostrophes between groups of three are always read past; so is the sign that is not the decimal sign. Where
neither the mapping nor the file says which sign is the decimal one, a single comma or point is, two different ones are
told apart by which comes last, and a repeated one parts thousands; `1,234` is refused then, since it may be either. A
point alone is how machines write decimals.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from mappings.codecs.cells import (
    TEXT,
    Cells,
    Mask,
    contiguous,
    holds,
    judged,
    mask_of,
    matches,
    nulled,
    picked,
    placed,
    plain_spaces,
    present,
    without,
)
from mappings.codecs.reading import PRECISION, Reading, Refusal, Rule

_SIMPLE = {
    ",": r"^-?\d+(?:,\d*)?$", ".": r"^-?\d+(?:\.\d*)?$",
    None: r"^-?(?:\d+(?:\.\d*)?|\d+,(?:\d{0,2}|\d{4,})|(?:0\d*|\d{4,}),\d{3})$",
}
_EITHER = r"^-?[1-9]\d{0,2},\d{3}$"
_COMMA = r"^-?(?:\d+|\d{1,3}(?: \d{3})+|\d{1,3}(?:'\d{3})+|\d{1,3}(?:\.\d{3})+)?(?:,\d*)?$"
_POINT = r"^-?(?:\d+|\d{1,3}(?: \d{3})+|\d{1,3}(?:'\d{3})+|\d{1,3}(?:,\d{3})+)?(?:\.\d*)?$"
_POWER = r"^-?\d+(?:[.,]\d+)?[eE][+-]?\d{1,2}$"
_SIGNS = (  # what a number may carry beside digits, groups and the decimal sign: bytes to look for, pattern, instead
    ((b"\xca\xbc", b"\xe2\x80\x99"), "[\u2019\u02bc]", "'"),
    ((b"\xe2",), "^[\u2212\u2013]", "-"),
    ((b"(",), r"^\((.+)\)$", r"-\1"),
    ((b"-",), r"^([^-].*)-$", r"-\1"),
    ((b"+",), r"^([^-+(].*)\+$", r"\1"),
    ((b"+",), r"^\+ ?", ""),
    ((b"- ",), "^- ", "-"),
)
INTEGER_RANGE = (-(2**63), 2**63 - 1)


def decode_decimal(cells: Cells, rule: Rule) -> Reading:
    """decimal128(28, scale of the field). `scale` reads numbers written without a point; `round` rounds half up."""
    scale = rule.spec.scale
    numbers = canonical(cells, rule.sign)
    params: dict[str, str] = {"decimal": rule.sign or "."}
    if rule.map.scale is not None:
        numbers, params = _shifted(numbers, rule.map.scale), {"scale": str(rule.map.scale)}
    strange = present(cells) & ~present(numbers)
    refusals = _refused(cells, strange, rule, "not_decimal", params)
    fitted = to_decimal(numbers, scale, round_=rule.map.round)
    return Reading(fitted.values, (*refusals, *fitted.refusals))


def encode_decimal(values: Any, rule: Rule) -> Cells:
    """345016.68, with the field's decimal sign, or without any where the mapping has `scale`."""
    if rule.map.scale is not None:
        # A decimal of scale 0 and the same digits: the number as it is written without its point.
        return values.cast(pa.decimal128(38, rule.map.scale)).view(pa.decimal128(38, 0)).cast(TEXT)
    text = values.cast(TEXT)
    return pc.replace_substring(text, ".", ",") if rule.sign == "," else text


def decode_integer(cells: Cells, rule: Rule) -> Reading:
    """int64. Decimals that are all zeros are read past, since spreadsheets add them (409.0)."""
    if matches(cells.fill_null("0"), r"^-?\d{1,18}$").all():
        return Reading(cells.cast(pa.int64()))
    numbers = canonical(cells, rule.sign)
    if rule.map.round:
        numbers = to_decimal(numbers, 0, round_=True).values.cast(TEXT)
    whole = matches(numbers, r"^-?\d+(?:\.0*)?$")
    strange = present(cells) & ~whole
    digits = pc.replace_substring_regex(nulled(numbers, ~whole), r"\.0*$", "")
    far = ~strange & mask_of(judged(digits, _is_far, pa.bool_()))
    refusals = _refused(cells, strange, rule, "not_integer", {})
    if far.any():
        refusals.append(Refusal(far, "out_of_range", dict(zip(("min", "max"), INTEGER_RANGE, strict=True))))
    return Reading(nulled(digits, far).cast(pa.int64()), tuple(refusals))


def _refused(cells: Cells, strange: Mask, rule: Rule, code: str, params: dict[str, str]) -> list[Refusal]:
    """What is no number, or may be either of two."""
    if not strange.any():
        return []
    if rule.sign is not None or not holds(cells, b","):
        return [Refusal(strange, code, params)]
    either = strange & matches(_plain(cells), _EITHER)
    told = [(strange & ~either, params), (either, params | {"either": "yes"})]
    return [Refusal(where, code, said) for where, said in told if where.any()]


def encode_integer(values: Any, rule: Rule) -> Cells:
    del rule
    return values.cast(TEXT)


def canonical(cells: Cells, sign: str | None) -> Cells:
    """Every number as [-]digits[.digits]; null where the cell is none."""
    simple = matches(cells, _SIMPLE[sign])
    numbers = pc.replace_substring(cells, ",", ".") if sign != "." and holds(cells, b",") else cells
    odd = present(cells) & ~simple
    return placed(numbers, odd, _odd(picked(cells, odd), sign)) if odd.any() else numbers


def _odd(cells: Cells, sign: str | None) -> Cells:
    """Numbers with groups, brackets, signs behind or powers of ten: the slower look at what the first one left."""
    text = _plain(cells)
    digit = matches(text, r"\d")
    comma = matches(text, _COMMA) & digit
    point = matches(text, _POINT) & digit
    if sign is None:
        # Both forms fit 1,23 and 1.234: one separator alone is the decimal sign.
        point &= ~(comma & matches(text, r"^[^.]*,[^.,]*$"))
        comma &= ~point & ~matches(text, _EITHER)
    else:
        comma, point = comma & (sign == ","), point & (sign == ".")
    numbers = pa.nulls(len(text), TEXT)
    numbers = placed(numbers, comma, _bare(text, comma, b" '.", comma_is_point=True))
    numbers = placed(numbers, point, _bare(text, point, b" ',", comma_is_point=False))
    power = matches(text, _POWER)
    return placed(numbers, power, judged(picked(text, power), _from_power)) if power.any() else numbers


def _plain(cells: Cells) -> Cells:
    """Spaces, apostrophes and signs as they are usually written."""
    text = plain_spaces(cells)
    for bytes_, pattern, instead in _SIGNS:
        if holds(text, *bytes_):
            text = pc.replace_substring_regex(text, pattern, instead)
    return text


def _bare(text: Cells, where: Mask, groups: bytes, *, comma_is_point: bool) -> Cells:
    bare = without(picked(text, where), groups)
    return pc.replace_substring(bare, ",", ".") if comma_is_point else bare


def _from_power(text: str) -> str | None:
    try:
        return format(Decimal(text.replace(",", ".")), "f")
    except InvalidOperation:
        return None


def _is_far(digits: str) -> bool:
    bare = digits.lstrip("-0") or "0"
    if len(bare) > 19:  # Python refuses to read thousands of digits as a number
        return True
    return not INTEGER_RANGE[0] <= (-int(bare) if digits.startswith("-") else int(bare)) <= INTEGER_RANGE[1]


def _shifted(numbers: Cells, places: int) -> Cells:
    """Canonical numbers whose last `places` digits stand after a point that is not written; a written one: null."""
    whole = nulled(numbers, ~matches(numbers, r"^-?\d+$"))
    if not places:
        return whole
    padded = pc.replace_substring_regex(whole, r"^(-?)(\d+)$", r"\1" + "0" * places + r"\2")
    return pc.replace_substring_regex(padded, rf"^(-?\d+)(\d{{{places}}})$", r"\1.\2")


def to_decimal(numbers: Cells, scale: int, *, round_: bool) -> Reading:
    """decimal128(28, scale) of canonical numbers; refuses what is too large, or too exact unless `round_`."""
    wanted = pa.decimal128(PRECISION, scale)
    try:
        return Reading(numbers.cast(wanted))
    except pa.ArrowInvalid:
        pass  # at least one does not fit: find out which
    text = pc.replace_substring_regex(numbers, r"^(-?)0+(\d)", r"\1\2")
    text = pc.replace_substring_regex(text, r"^(-?)\.", r"\10.")  # .0 must not lose its only digit
    text = pc.replace_substring_regex(text, r"(\.\d*?)0+$", r"\1")
    large = matches(text, rf"^-?\d{{{PRECISION - scale + 1},}}")
    exact = matches(text, rf"\.\d{{{scale + 1},}}$") & ~large
    text = nulled(text, large if round_ else large | exact)
    if round_:
        # Half up looks at one digit beyond the scale; the rest cannot change it.
        text = pc.replace_substring_regex(text, rf"(\.\d{{{scale + 1}}})\d*$", r"\1")
        wide = pc.round(text.cast(pa.decimal128(PRECISION + 2, scale + 1)), scale, "half_towards_infinity")
        top = pa.scalar(Decimal(10) ** (PRECISION - scale), wide.type)
        grown = mask_of(pc.greater_equal(pc.abs(wide), top))
        large, values = large | grown, nulled(wide, grown).cast(wanted)
        exact = exact & ~exact
    else:
        values = text.cast(wanted)
    refusals = []
    if large.any():
        limit = f"{10 ** (PRECISION - scale) - 1}"
        refusals.append(Refusal(large, "out_of_range", {"min": f"-{limit}", "max": limit}))
    if exact.any():
        refusals.append(Refusal(exact, "too_many_decimals", {"scale": scale}))
    return Reading(contiguous(values), tuple(refusals))
