"""One field of one page: from the source's columns to the record's columns, with what was refused and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from mappings.codecs.cells import (
    Cells,
    Mask,
    any_of,
    blank_to_null,
    contiguous,
    mask_of,
    nulled,
    placed,
    present,
    repeat,
)
from mappings.codecs.columns import trimmed_cells, unstorable
from mappings.codecs.compute import computed
from mappings.codecs.conversion import converted
from mappings.codecs.keys import link_keys
from mappings.codecs.lists import put_together, rows_with, taken_apart
from mappings.codecs.literals import literals
from mappings.codecs.places import region_code
from mappings.codecs.reading import PLAIN, Refusal, Rule
from mappings.codecs.registry import CODECS, codec_of
from mappings.codecs.single import Setting, decode_values
from mappings.codecs.source_value import extracted, prepared, single, source_cells, source_parts
from mappings.codecs.values import Codes, table_of
from mappings.language.entity import FieldSpec
from mappings.language.field import FieldMap, Part

if TYPE_CHECKING:
    from mappings.language.strict import Column

LISTS = ("choices", "links")


@dataclass(frozen=True)
class Given:
    """What a page gives to each of its fields."""

    frame: pd.DataFrame
    variables: Mapping[str, str]
    codes: Codes
    decimal: Literal[".", ","] | None = None


@dataclass
class FieldReading:
    """One field, decoded: `columns` by the record's column names, `kept` where the row says nothing on the field.

    `refusals` go with the raw text that was refused, row by row.
    """

    columns: dict[str, Any]
    kept: Mask
    refusals: list[tuple[Refusal, Cells]] = field(default_factory=list)

    @property
    def refused(self) -> Mask:
        return any_of(len(self.kept), [refusal.where for refusal, _ in self.refusals])


def decode_field(
    given: Given, name: str, field_map: FieldMap, spec: FieldSpec, shape: Sequence[Column] | None = None
) -> FieldReading:
    """The field's columns for every row of the frame.

    `shape` is the key of the id space that a link refers to: its variables are added to the row's own parts. Raises
    ConfigurationError where the mapping itself is wrong (a code table that is missing, a constant of the wrong type).
    """
    fixed, regions = _regions(given, field_map)
    rule = Rule(field_map, spec, given.decimal, fixed)
    setting = Setting(name, rule, table_of(field_map, given.codes), given.variables, shape, regions)
    reading, raw = _main(given, setting)
    _settle_blanks(reading, raw, setting)
    if spec.type == "money":
        _add_part(reading, given, f"{name}_currency", field_map.currency, raw, money=True)
    elif spec.type == "quantity":
        _add_part(reading, given, f"{name}_unit", field_map.unit, raw, money=False)
    return reading


def _main(given: Given, setting: Setting) -> tuple[FieldReading, Cells]:
    name, rule, rows = setting.name, setting.rule, len(given.frame)
    if rule.map.constant is not None:
        value = literals([rule.map.constant], rule.spec, name)
        return FieldReading({name: _everywhere(value, rows)}, np.zeros(rows, bool)), repeat("", rows)
    parts = source_parts(given.frame, rule.map, given.variables, _sign(rule))
    if rule.map.compute is not None:
        found, truth = computed(given.frame, rule, given.variables)
        fitting = converted(found.values, "boolean" if truth else "decimal", rule)
        raw = repeat(rule.map.compute, rows)
        refusals = [(refusal, raw if refusal.cells is None else refusal.cells)
                    for refusal in (*found.refusals, *fitting.refusals)]
        lacking = ~any_of(rows, [present(part) for part in parts]) if parts else np.zeros(rows, bool)
        return FieldReading({name: fitting.values}, lacking, refusals), raw
    raw = source_cells(parts, rule.map)
    absent = ~present(raw)
    if rule.spec.type == "link" and rule.map.join is not None:
        return FieldReading({name: link_keys(parts, setting.shape, given.variables)}, absent), raw
    cells = blank_to_null(prepared(raw, rule.map))
    damaged = unstorable(cells)
    refusals = []
    if damaged is not None and damaged.any():
        refusals.append((Refusal(damaged, "not_text"), raw))
        cells = nulled(cells, damaged)
    more: Sequence[Refusal]
    if rule.spec.type in LISTS:
        values, more, unsaid = _set(cells, setting)
    else:
        values, more, unsaid = decode_values(single(cells, rule.map), setting)
    # A code table may give blanks a meaning, but not to rows that do not have the column at all.
    values = nulled(values, absent)
    return FieldReading({name: values}, absent | unsaid, [*refusals, *((refusal, raw) for refusal in more)]), raw


def _sign(rule: Rule) -> str:
    """The decimal sign that the field's codec reads: what a cell that is a number must come with."""
    return (rule.sign if "decimal" in codec_of(rule.map, rule.spec).takes else None) or "."


def _set(cells: Cells, setting: Setting) -> tuple[Any, list[Refusal], Mask]:
    coded = cells.dictionary_encode()
    if setting.regions is None and len(coded.dictionary) < len(cells):
        # Few combinations stand in many cells: each is looked at once.
        values, refusals, unsaid = _set(coded.dictionary, setting)
        wide = [replace(refusal, where=_spread(refusal.where, coded.indices)) for refusal in refusals]
        return values.take(coded.indices), wide, _spread(unsaid, coded.indices)
    rows, field_map = len(cells), setting.rule.map
    items, owners = taken_apart(cells, field_map.split)
    values, found, unsaid = decode_values(extracted(items, field_map), setting.of_items(owners))
    raised = [replace(refusal, where=rows_with(refusal.where, owners, rows)) for refusal in found]
    # One item that says nothing leaves the whole set unsaid: the others alone would be a smaller set.
    silent = rows_with(unsaid, owners, rows)
    unset = any_of(rows, [silent, *[refusal.where for refusal in raised]])
    return nulled(put_together(values, owners, rows), unset), raised, silent


def _spread(where: Mask, indices: Any) -> Mask:
    return mask_of(pa.array(where).take(indices))


def _regions(given: Given, field_map: FieldMap) -> tuple[str | None, Cells | None]:
    """The country that the mapping names for all rows, or each row's own (unknown ones count as the blank's)."""
    region = field_map.region
    if region is None:
        return None, None
    if isinstance(region, str):
        return region_code(region), None
    otherwise = region_code(region.blank) if region.blank else None
    if region.from_ is None:
        return otherwise, None
    named = blank_to_null(trimmed_cells(given.frame, region.from_, given.variables))
    codes = CODECS["country"].decode(named, Rule(field_map, FieldSpec())).values
    return otherwise, codes if otherwise is None else contiguous(pc.fill_null(codes, otherwise))


def _settle_blanks(reading: FieldReading, raw: Cells, setting: Setting) -> None:
    """What an empty cell means: cleared, kept, a value of its own, or a fault where a value is required."""
    name, rule = setting.name, setting.rule
    refused = reading.refused
    empty = ~present(reading.columns[name]) & ~refused
    absent = reading.kept
    blank = empty & ~absent
    always = name == "type" and rule.spec.values and rule.map.blank is None  # no record is without one
    if rule.map.keeps_blank or always or (rule.map.default is not None and (rule.map.required or rule.spec.required)):
        # A required field with a default: creating takes the default, updating leaves what is there.
        absent, blank = absent | blank, np.zeros(len(blank), bool)
    elif rule.map.blank is not None and blank.any():
        value = literals([rule.map.blank], rule.spec, name)
        reading.columns[name] = placed(reading.columns[name], blank, _everywhere(value, int(blank.sum())))
        blank = np.zeros(len(blank), bool)
    missing = blank if rule.spec.required else np.zeros(len(blank), bool)
    if rule.map.required and rule.map.default is None:
        missing = missing | blank | (absent & empty)
    if missing.any():
        reading.refusals.append((Refusal(missing, "required"), raw))
    reading.kept = absent & ~reading.refused
    if reading.refused.any():
        reading.columns[name] = nulled(reading.columns[name], reading.refused)


def _everywhere(value: Any, rows: int) -> Any:
    return value.take(pa.array(np.zeros(rows, np.int64)))


def _add_part(reading: FieldReading, given: Given, column: str, part: Part | None, raw: Cells, *, money: bool) -> None:
    """The currency of an amount, or the unit of a quantity: beside each value, and only there."""
    amounts = present(next(iter(reading.columns.values())))
    cells = repeat(None, len(amounts))
    if part is not None and part.from_ is not None:
        cells = blank_to_null(trimmed_cells(given.frame, part.from_, given.variables))
    if part is not None and part.blank is not None:
        cells = contiguous(pc.fill_null(cells, part.blank))
    cells = nulled(cells, ~amounts)
    decoded = CODECS["currency" if money else "text"].decode(cells, Rule(PLAIN, FieldSpec()))
    reading.refusals += [(refusal, cells) for refusal in decoded.refusals]
    lacking = amounts & ~present(cells)
    if money and lacking.any():
        reading.refusals.append((Refusal(lacking, "no_currency"), raw))
    refused = reading.refused
    for name, values in [*reading.columns.items(), (column, decoded.values)]:
        reading.columns[name] = nulled(values, refused)


