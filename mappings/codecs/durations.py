"""Durations as clocks, words and ISO 8601 write them, counted in the field's unit.

::

    1:30   01:30:00   26:00:00   2h30   1 h 05 min   1,5 h   2 days   1d 4h   1 day, 2:00:00   1.02:00:00   PT1H30M
    7,5    a plain number is one of the unit
"""

from __future__ import annotations

import re
from decimal import ROUND_HALF_UP, Decimal
from functools import partial

from mappings.codecs.cells import Cells, judged, matches, nulled, picked, placed, present
from mappings.codecs.numbers import canonical, to_decimal
from mappings.codecs.reading import Reading, Refusal, Rule

SECONDS = {"d": 86_400, "j": 86_400, "h": 3_600, "min": 60, "mn": 60, "s": 1}
"""Seconds of the units that a duration may be counted in; without a unit it is counted in hours."""

_DAYS = r"(?P<d>\d{1,6})(?: ?(?:d|j|days?|jours?)\.?,?"
_CLOCK = re.compile(
    rf"(?P<sign>-?)(?:{_DAYS} ?|\.))?(?P<h>\d{{1,6}}):(?P<m>[0-5]?\d)(?::(?P<s>[0-5]?\d)(?:[.,]\d{{1,9}})?)?",
    re.IGNORECASE,
)
_WORDS = re.compile(
    rf"(?P<sign>-?)(?=\d)(?:{_DAYS}))? ?(?:(?P<h>\d{{1,6}}) ?(?:h|hrs?|heures?|hours?)\.?)? ?"
    r"(?:(?P<m>\d{1,6}) ?(?:m|mn|min|mins|minutes?)\.?|(?(h)(?<=[hrsHRSeE. ])(?P<bare>[0-5]?\d)|(?!)))? ?"
    r"(?:(?P<s>\d{1,6}) ?(?:s|sec|secondes?|seconds?)\.?)?",
    re.IGNORECASE,
)
_PART = re.compile(
    r"(?P<sign>-?)(?P<number>\d{1,6}[.,]\d{1,9}) ?(?:(?P<d>d|j|days?|jours?)|(?P<h>h|hrs?|heures?|hours?)|"
    r"(?P<m>m|mn|min|mins|minutes?)|(?P<s>s|sec|secondes?|seconds?))\.?",
    re.IGNORECASE,
)
_ISO = re.compile(
    r"(?P<sign>-?)P(?=\d|T\d)(?:(?P<d>\d{1,6})D)?"
    r"(?:T(?=\d)(?:(?P<h>\d{1,6})H)?(?:(?P<m>\d{1,6})M)?(?:(?P<s>\d{1,6})(?:[.,]\d{1,9})?S)?)?",
    re.IGNORECASE,
)
_UNITS = {"d": 86_400, "h": 3_600, "m": 60, "bare": 60, "s": 1}


def decode_duration(cells: Cells, rule: Rule) -> Reading:
    """decimal128(28, scale of the field), in the field's unit. What is no plain number is rounded to that scale."""
    written = present(cells) & matches(cells, "[:A-Za-z]") & ~matches(cells, r"^-?[\d.,]+[eE][+-]?\d+$")
    numbers = canonical(nulled(cells, written), rule.sign)
    if written.any():
        count = partial(_counted, seconds=SECONDS.get(unit_of(rule), 3_600), scale=rule.spec.scale)
        numbers = placed(numbers, written, judged(picked(cells, written), count))
    strange = present(cells) & ~present(numbers)
    refusals = [Refusal(strange, "not_duration", {"unit": unit_of(rule)})] if strange.any() else []
    fitted = to_decimal(numbers, rule.spec.scale, round_=rule.map.round)
    return Reading(fitted.values, (*refusals, *fitted.refusals))


def unit_of(rule: Rule) -> str:
    """The unit that the mapping says for all rows; hours if it says none."""
    return (rule.map.unit.blank if rule.map.unit is not None else None) or "h"


def _counted(text: str, seconds: int, scale: int) -> str | None:
    found = _CLOCK.fullmatch(text) or _ISO.fullmatch(text) or _WORDS.fullmatch(text)
    if found is not None:
        parts = {name: int(value) for name, value in found.groupdict().items() if value and name != "sign"}
        whole = Decimal(sum(_UNITS[name] * value for name, value in parts.items()))
    elif (found := _PART.fullmatch(text)) is not None:
        unit = next(name for name in ("d", "h", "m", "s") if found[name])
        whole = Decimal(found["number"].replace(",", ".")) * _UNITS[unit]
    else:
        return None
    count = (whole / seconds).quantize(Decimal(1).scaleb(-scale), ROUND_HALF_UP)
    return f"{'-' if found['sign'] and count else ''}{count:f}"


__all__ = ["SECONDS", "decode_duration", "unit_of"]
