"""The way out: record columns to the raw text that the same mapping would read them from.

::

    value ─▶ values (code) | codec ─▶ split joined ─▶ replace undone ─▶ html ─▶ cell;  null ─▶ blank
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from html import escape
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from mappings.codecs.cells import TEXT, Cells, contiguous, judged, mask_of, picked, placed, present, repeat
from mappings.codecs.conversion import HOLDS, day_in
from mappings.codecs.dates import in_utc, zone_of
from mappings.codecs.keys import parts_of
from mappings.codecs.literals import literals
from mappings.codecs.reading import PLAIN, Codec, Refusal, Rule, arrow_type
from mappings.codecs.registry import codec_of
from mappings.codecs.single import LINKS
from mappings.codecs.source_value import joined_text
from mappings.codecs.values import Codes, table_of
from mappings.codecs.way_out import one_way, way_out
from mappings.errors import ConfigurationError
from mappings.language.entity import FieldSpec
from mappings.language.field import FieldMap
from mappings.language.strict import Column


def encode_field(
    name: str, field_map: FieldMap, spec: FieldSpec, values: Mapping[str, Any], *, codes: Codes,
    decimal: Any = None,
) -> tuple[dict[Column, Cells], tuple[Refusal, ...]]:
    """The cells of each source column (null where a value cannot be written), and refusals.

    `values` are the record's columns by name (a second one for money and quantity). Raises ConfigurationError for a
    mapping that is one-way.
    """
    field_map = way_out(field_map)
    problem = one_way(field_map)
    if problem is not None or field_map.from_ is None:
        raise ConfigurationError(f"{name}: {problem}", todo="Leave the field out of what is written.")
    rule = Rule(field_map, spec, decimal)
    main = values[name]
    cells = (_sets if spec.type in ("choices", "links") else _singles)(main, rule, codes, name)
    written: dict[Column, Cells] = {field_map.from_: _placed_blanks(_undone(cells, field_map), present(main))}
    refusals: list[Refusal] = []
    for part, suffix in ((field_map.currency, "currency"), (field_map.unit, "unit")):
        second = values.get(f"{name}_{suffix}")
        if part is None or second is None:
            continue
        if part.from_ is not None:
            written[part.from_] = contiguous(pc.fill_null(second, ""))
        elif part.blank is not None:
            other = mask_of(pc.not_equal(second, part.blank))
            if other.any():
                refusals.append(Refusal(other, "other_currency", {"currency": part.blank}))
    return written, tuple(refusals)


def _placed_blanks(cells: Cells, valued: Any) -> Cells:
    return placed(cells, ~valued, repeat("", int((~valued).sum())))


def _singles(values: Any, rule: Rule, codes: Codes, name: str) -> Cells:
    if rule.spec.type in LINKS:
        values = judged(values, lambda key: parts_of(key)[-1])
    table = table_of(rule.map, codes)
    if table is None:
        return _coded(values, rule)
    single = replace(rule, spec=rule.spec.model_copy(update={"type": "text"})) if rule.spec.type in LINKS else rule
    known = literals(list(table.values()), single.spec, name)
    cells = pa.array(list(table), TEXT).take(pc.index_in(values, value_set=known, skip_nulls=True))
    rest = present(values) & ~present(cells)
    if rule.map.else_ == "raw" and rest.any():
        cells = placed(cells, rest, _coded(picked(values, rest), rule))
    return cells


def _coded(values: Any, rule: Rule) -> Cells:
    if rule.spec.type in LINKS and rule.map.as_ is None:
        return values
    codec = codec_of(rule.map, rule.spec)
    try:
        return contiguous(codec.encode(_as_codec_gives(values, codec, rule), rule).cast(TEXT))
    except pa.ArrowInvalid:  # one of them does not fit the form: find out which, value by value
        return contiguous(pa.concat_arrays([_one(values.slice(row, 1), codec, rule) for row in range(len(values))]))


def _one(value: Any, codec: Codec, rule: Rule) -> Cells:
    try:
        return contiguous(codec.encode(_as_codec_gives(value, codec, rule), rule).cast(TEXT))
    except pa.ArrowInvalid:
        return pa.nulls(1, TEXT)


def _as_codec_gives(values: Any, codec: Codec, rule: Rule) -> Any:
    """The way back through mappings.codecs.conversion."""
    holds = HOLDS[rule.spec.type]
    if holds == codec.gives:
        return values
    if holds == "text":  # a date or number that the field keeps as text, in plain form
        return codec.decode(values, Rule(PLAIN, rule.spec, ".")).values
    if codec.gives == "datetime":
        return in_utc(values.cast(pa.timestamp("us")), zone_of(rule))
    if codec.gives == "date":
        return day_in(values, zone_of(rule))
    return values.cast(arrow_type(codec.gives, rule.spec.scale))


def _sets(values: Any, rule: Rule, codes: Codes, name: str) -> Cells:
    single_type = "link" if rule.spec.type == "links" else "choice"
    single = replace(rule, spec=rule.spec.model_copy(update={"type": single_type}))
    sets: list[Sequence[str] | None] = values.to_pylist()
    items = _singles(pa.array([item for found in sets for item in found or ()], TEXT), single, codes, name).to_pylist()
    taken = iter(items)
    return pa.array([_cell([next(taken) for _ in found or ()], rule.map.split) for found in sets], TEXT)


def _cell(items: Sequence[str | None], separator: str | None) -> str | None:
    known = [item for item in items if item is not None]
    if len(known) < len(items):
        return None
    return orjson.dumps(known).decode() if separator is None else joined_text(known, separator)


def _undone(cells: Cells, field_map: FieldMap) -> Cells:
    for found, instead in reversed((field_map.replace or {}).items()):
        cells = pc.replace_substring(cells, instead, found) if instead else cells
    return judged(cells, lambda text: escape(text, quote=False)) if field_map.html else contiguous(cells)
