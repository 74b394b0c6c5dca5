"""The proof that a mapping loses nothing: CRM value to raw text and back to the same CRM value.

Only what the values themselves can show is proved: `pattern` and `required` refuse, which loses nothing.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
import pyarrow as pa

from mappings.codecs.cells import TEXT
from mappings.codecs.conversion import HOLDS
from mappings.codecs.encode import encode_field
from mappings.codecs.field import Given, decode_field
from mappings.codecs.keys import escape
from mappings.codecs.lists import LIST
from mappings.codecs.literals import literals
from mappings.codecs.reading import arrow_type
from mappings.codecs.samples import samples
from mappings.codecs.values import Codes, table_of
from mappings.codecs.way_out import one_way
from mappings.language.entity import FieldSpec
from mappings.language.field import FieldMap
from mappings.messages import render

_SUSPECTS = (
    "case", "collapse", "max", "html", "replace", "values", "blank", "format", "scale", "timezone", "split", "as_",
    "true", "false", "region", "century",
)
_NAME = "value"
_SHOWN = 60


def round_trip_problem(field_map: FieldMap, field_spec: FieldSpec, codes: Codes) -> str | None:
    """What the mapping would lose if its field were written back as it is read; None where nothing is lost.

    Tried on values that the field may hold (mappings.codecs.samples). Raises ConfigurationError where the mapping
    itself is wrong.
    """
    if (problem := one_way(field_map)) is not None:
        return problem
    plain = field_map.model_copy(update={"pattern": None, "required": False, "default": None})
    spec = field_spec.model_copy(update={"required": False})
    if (problem := _ambiguous(plain, spec, codes)) is not None:
        return problem
    lost = _loss(plain, spec, codes)
    if lost is None:
        return None
    for suspect in _SUSPECTS:
        default = FieldMap.model_fields[suspect].default
        without = plain.model_copy(update={suspect: default})
        if getattr(plain, suspect) != default and _loss(without, spec, codes) is None:
            name = "cut" if suspect == "max" and plain.cut else suspect.rstrip("_")
            return f"`{name}` loses information: {lost}"
    return f"information is lost: {lost}"


def _ambiguous(field_map: FieldMap, spec: FieldSpec, codes: Codes) -> str | None:
    """Two codes for one value: the system's own choice between them would be written over."""
    table = table_of(field_map, codes)
    seen: dict[str, str] = {}
    for code, value in (table or {}).items():
        held = str(literals([value], spec, _NAME)[0].as_py())
        if held in seen:
            return f"`values` loses information: {seen[held]!r} and {code!r} both mean {value!r}"
        seen[held] = code
    return None


def _loss(field_map: FieldMap, spec: FieldSpec, codes: Codes) -> str | None:
    """The first sample that does not come back as it was, told in words."""
    before: list[Any] = [*samples(spec), None]
    values = _columns(before, field_map, spec)
    cells, _ = encode_field(_NAME, field_map, spec, values, codes=codes)
    raw = next(iter(cells.values()))
    unwritten = [row for row, cell in enumerate(raw.to_pylist()) if cell is None]
    if unwritten:
        why = "has no code" if field_map.values is not None else "cannot be written"
        return f"{_shown(before[unwritten[0]])} {why}"
    frame = pd.DataFrame({str(column): pd.array(text.to_pylist(), "string[pyarrow]") for column, text in cells.items()})
    read = field_map.model_copy(update={"from_": str(field_map.from_)})
    reading = decode_field(Given(frame, {}, codes), _NAME, read, spec)
    after = reading.columns[_NAME].to_pylist()
    for row, text in enumerate(raw.to_pylist()):
        reasons = [refusal for refusal, _ in reading.refusals if refusal.where[row]]
        if reasons:
            said = render(reasons[0].code, {**reasons[0].params, "field": "back again", "value": text})
            return f"{_shown(before[row])} is written as {_shown(text)}, which is refused ({said})"
        if after[row] != values[_NAME][row].as_py():
            return f"{_shown(before[row])} is written as {_shown(text)} and comes back as {_shown(after[row])}"
    return None


def _columns(before: list[Any], field_map: FieldMap, spec: FieldSpec) -> dict[str, Any]:
    if spec.type in ("choices", "links"):
        return {_NAME: pa.array(before, LIST)}
    if spec.type == "link":
        return {_NAME: escape(pa.array(before, TEXT))}
    columns = {_NAME: pa.array(before, arrow_type(HOLDS[spec.type], spec.scale))}
    for part, suffix, other in ((field_map.currency, "currency", "USD"), (field_map.unit, "unit", "h")):
        if part is not None:
            second = part.blank or other
            columns[f"{_NAME}_{suffix}"] = pa.array([None if value is None else second for value in before], TEXT)
    return columns


def _shown(value: Any) -> str:
    text = "blank" if value in (None, "") else repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
