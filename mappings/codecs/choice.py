"""Booleans and choices: few distinct values in many cells, so each is looked at once."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from mappings.codecs.cells import TEXT, Cells, contiguous, judged, nulled, present
from mappings.codecs.reading import Reading, Rule, refuse

TRUE = ("true", "t", "yes", "y", "1", "oui", "o", "vrai", "v", "on", "x", "-1", "1.0")
FALSE = ("false", "f", "no", "n", "0", "non", "faux", "off", "0.0")
"""Words that mean true and false, whatever their case: English and French, and what spreadsheets make of them."""


def decode_boolean(cells: Cells, rule: Rule) -> Reading:
    """bool. The mapping's `true` and `false` words count before the usual ones."""
    words = dict.fromkeys(TRUE, True) | dict.fromkeys(FALSE, False)
    words |= dict.fromkeys(map(str.casefold, rule.map.true or ()), True)
    words |= dict.fromkeys(map(str.casefold, rule.map.false or ()), False)
    values = judged(cells, lambda text: words.get(text.casefold()), pa.bool_())
    strange = present(cells) & ~present(values)
    return refuse(
        values, strange, "not_boolean",
        true=", ".join(rule.map.true or TRUE), false=", ".join(rule.map.false or FALSE),
    )


def encode_boolean(values: Any, rule: Rule) -> Cells:
    """The mapping's first word for each, else 1 and 0."""
    true, false = (rule.map.true or ("1",))[0], (rule.map.false or ("0",))[0]
    return contiguous(pc.if_else(values, pa.scalar(true, TEXT), pa.scalar(false, TEXT)))


def decode_choice(cells: Cells, rule: Rule) -> Reading:
    """One of the field's values, whatever its case in the source."""
    return among(cells, rule)


def encode_choice(values: Any, rule: Rule) -> Cells:
    del rule
    return contiguous(values)


def among(cells: Cells, rule: Rule) -> Reading:
    """Texts as the field's `values` spell them; a field without values takes any text."""
    allowed = rule.spec.values
    if not allowed:
        return Reading(cells)
    if pc.all(pc.is_in(cells, value_set=pa.array([*allowed, None], TEXT))).as_py() is not False:
        return Reading(cells)
    folded: dict[str, str] = {}
    for value in reversed(allowed):
        folded[value.casefold()] = value
    exact = {value: value for value in allowed}
    values = judged(cells, lambda text: exact.get(text) or folded.get(text.casefold()))
    strange = present(cells) & ~present(values)
    return refuse(nulled(values, strange), strange, "not_a_choice", allowed=", ".join(allowed))
