"""Values written in the mapping itself: whether a field can hold them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mappings.codecs.literals import literals
from mappings.errors import ConfigurationError
from mappings.language.entity import FieldSpec
from mappings.language.words import nearest


def literal_problem(value: Any, spec: FieldSpec, name: str) -> str | None:
    """Why the field cannot hold the value; None where it can."""
    if isinstance(value, dict):
        return f"{name}: expected a value, not a mapping"
    if isinstance(value, list) and spec.type not in ("choices", "links"):
        return f"{name}: expected one value, not a list"
    try:
        literals([value], spec, name)
    except ConfigurationError as error:
        near = nearest(str(value), spec.values) if spec.values else None
        return error.message + (f"; did you mean {near!r}?" if near else "")
    return None


def unfit_values(values: Sequence[Any], spec: FieldSpec, name: str, at_most: int = 3) -> list[tuple[Any, str]]:
    """The first values that the field cannot hold, with why; all at once where they all fit."""
    try:
        literals(values, spec, name)
    except (ConfigurationError, TypeError, ValueError):
        found = ((value, literal_problem(value, spec, name)) for value in values)
        told = [(value, problem) for value, problem in found if problem is not None]
        return told[:at_most]
    return []
