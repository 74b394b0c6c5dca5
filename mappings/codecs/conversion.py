"""From what a codec gives to what the field holds, where the two differ (`as: integer` on a text field)."""

from __future__ import annotations

from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from mappings.codecs.cells import TEXT, contiguous, mask_of, nulled
from mappings.codecs.dates import in_calendar, in_utc, refuse_lost, zone_of
from mappings.codecs.numbers import to_decimal
from mappings.codecs.reading import Gives, Reading, Rule, arrow_type, refuse
from mappings.errors import ConfigurationError
from mappings.words import FieldType

HOLDS: dict[FieldType, Gives] = {
    "text": "text", "long_text": "text", "choice": "text", "choices": "text", "url": "text", "file": "text",
    "link": "text", "links": "text", "number": "integer", "decimal": "decimal", "money": "decimal",
    "quantity": "decimal", "date": "date", "datetime": "datetime", "boolean": "boolean",
}
"""What a field of each type holds (lists: each of their values)."""

_WAYS: frozenset[tuple[Gives, Gives]] = frozenset({
    ("integer", "text"), ("decimal", "text"), ("date", "text"), ("boolean", "text"), ("integer", "decimal"),
    ("decimal", "integer"), ("integer", "boolean"), ("boolean", "integer"), ("datetime", "date"), ("date", "datetime"),
})


def conversion_problem(gives: Gives, field_type: FieldType) -> str | None:
    """Why a codec that gives this cannot fill a field of that type."""
    wants = HOLDS[field_type]
    if gives == wants or (gives, wants) in _WAYS:
        return None
    article: Literal["a", "an"] = "an" if gives == "integer" else "a"
    return f"the codec gives {article} {gives} value, which a field of type {field_type} cannot hold"


def day_in(moments: Any, zone: str) -> Any:
    """The day that a calendar in the zone shows at each moment; null where it shows no year from 1 to 9999."""
    return pc.local_timestamp(in_calendar(moments.cast(pa.timestamp("us", zone)))).cast(pa.date32(), safe=False)


def converted(values: Any, gives: Gives, rule: Rule) -> Reading:  # noqa: PLR0911 - one return for each way
    """`values` as the field holds them; a number that is not whole is refused by a field of whole numbers."""
    wants = HOLDS[rule.spec.type]
    if gives == wants:
        return Reading(values)
    if (problem := conversion_problem(gives, rule.spec.type)) is not None:
        raise ConfigurationError(problem, todo="Choose another codec with `as`, or another type for the field.")
    if wants == "text":
        return Reading(contiguous(values.cast(TEXT)))
    if wants == "decimal":
        return to_decimal(values.cast(TEXT), rule.spec.scale, round_=rule.map.round)
    if gives == "decimal":
        broken = mask_of(pc.not_equal(values, pc.floor(values)))
        return refuse(nulled(values, broken).cast(pa.int64()), broken, "not_integer")
    if gives == "datetime":
        return refuse_lost(day_in(values, zone_of(rule)), values, "datetime", rule)
    if wants == "datetime":
        moments = in_calendar(in_utc(values.cast(pa.timestamp("us")), zone_of(rule)))
        return refuse_lost(moments, values, "date", rule)
    return Reading(values.cast(arrow_type(wants)))
