"""Values that are written in the mapping itself: constants, defaults, what a blank or a code means.

They are CRM values in plain form, whatever the file's own form is: 12.50, 2026-11-22, true, customer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from mappings.codecs.cells import TEXT, blank_to_null
from mappings.codecs.choice import among
from mappings.codecs.conditions import as_text
from mappings.codecs.conversion import converted
from mappings.codecs.lists import LIST
from mappings.codecs.reading import PLAIN, Rule
from mappings.codecs.registry import codec_of
from mappings.errors import ConfigurationError
from mappings.language.entity import FieldSpec
from mappings.messages import render


def literals(values: Sequence[Any], spec: FieldSpec, name: str = "") -> Any:
    """The values as the field holds them (Arrow; null for null and '').

    Raises ConfigurationError where one of them is no value of the field.
    """
    if spec.type in ("choices", "links"):
        lists = [list(value) if isinstance(value, list | tuple) else [value] for value in values]
        flat = _single([as_text(item) for items in lists for item in items], spec, name).to_pylist()
        taken = iter(flat)
        sets = [sorted({item for item in [next(taken) for _ in items] if item is not None}) for items in lists]
        return pa.array([found or None for found in sets], LIST)
    return _single([as_text(value) for value in values], spec, name)


def _single(texts: Sequence[str], spec: FieldSpec, name: str) -> Any:
    rule = Rule(PLAIN, spec, ".")
    cells = blank_to_null(pa.array(texts, TEXT))
    codec = codec_of(rule.map, spec)
    reading = codec.decode(cells, rule)
    fitted = converted(reading.values, codec.gives, rule)
    chosen = among(fitted.values, rule) if spec.type in ("choice", "choices") else fitted
    for refusal in (*reading.refusals, *fitted.refusals, *chosen.refusals):
        text = next(text for text, refused in zip(texts, refusal.where, strict=True) if refused)
        raise ConfigurationError(
            render(refusal.code, {**refusal.params, "field": name or "the field", "value": text}),
            todo="Values in the mapping are written in plain form: 12.50, 2026-11-22, true.",
        )
    return chosen.values
