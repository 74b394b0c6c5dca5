"""One field of one page: from the source's columns to the record's columns, with what was refused and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from mappings.codecs.cells import TEXT, Cells, Mask, any_of, blank_to_null, contiguous, nulled, placed, present, repeat
from mappings.codecs.choice import among
from mappings.codecs.columns import trimmed_cells, unstorable
from mappings.codecs.compute import computed
from mappings.codecs.conversion import converted
from mappings.codecs.keys import link_keys
from mappings.codecs.lists import put_together, rows_with, taken_apart
from mappings.codecs.literals import literals
from mappings.codecs.reading import PLAIN, Reading, Refusal, Rule
from mappings.codecs.registry import CODECS, codec_of
from mappings.codecs.source_value import extracted, mismatched, prepared, single, source_cells, source_parts
from mappings.codecs.text import fitted
from mappings.codecs.values import Codes, Lookup, table_of
from mappings.language.entity import FieldSpec
from mappings.language.field import FieldMap, Part

if TYPE_CHECKING:
    from mappings.language.strict import Column

LINKS = ("link", "links")
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
    rule = Rule(field_map, spec, given.decimal)
    reading, raw = _main(given, name, rule, shape)
    _settle_blanks(reading, raw, name, rule)
    if spec.type == "money":
        _add_part(reading, given, f"{name}_currency", field_map.currency, raw, money=True)
    elif spec.type == "quantity":
        _add_part(reading, given, f"{name}_unit", field_map.unit, raw, money=False)
    return reading


def _main(given: Given, name: str, rule: Rule, shape: Sequence[Column] | None) -> tuple[FieldReading, Cells]:
    rows = len(given.frame)
    if rule.map.constant is not None:
        value = literals([rule.map.constant], rule.spec, name)
        return FieldReading({name: _everywhere(value, rows)}, np.zeros(rows, bool)), repeat("", rows)
    if rule.map.compute is not None:
        found, truth = computed(given.frame, rule, given.variables)
        fitted_ = converted(found.values, "boolean" if truth else "decimal", rule)
        raw = repeat(rule.map.compute, rows)
        refusals = [(refusal, raw) for refusal in (*found.refusals, *fitted_.refusals)]
        return FieldReading({name: fitted_.values}, np.zeros(rows, bool), refusals), raw
    parts = source_parts(given.frame, rule.map, given.variables)
    raw = source_cells(parts, rule.map)
    kept = ~present(raw)
    if rule.spec.type == "link" and rule.map.join is not None:
        return FieldReading({name: link_keys(parts, shape, given.variables)}, kept), raw
    cells = blank_to_null(prepared(raw, rule.map))
    damaged = unstorable(cells)
    refusals = []
    if damaged is not None and damaged.any():
        refusals.append((Refusal(damaged, "not_text"), raw))
        cells = nulled(cells, damaged)
    if rule.spec.type in LISTS:
        values, more = _set(cells, name, rule, given, shape)
    else:
        values, more, unsaid = _values(single(cells, rule.map), name, rule, given, shape)
        kept = kept | unsaid
    reading = FieldReading({name: values}, kept, [*refusals, *((refusal, raw) for refusal in more)])
    return reading, raw


def _set(
    cells: Cells, name: str, rule: Rule, given: Given, shape: Sequence[Column] | None
) -> tuple[Any, tuple[Refusal, ...]]:
    rows = len(cells)
    items, owners = taken_apart(cells, rule.map.split)
    values, refusals, _ = _values(extracted(items, rule.map), name, rule, given, shape)
    raised = tuple(replace(refusal, where=rows_with(refusal.where, owners, rows)) for refusal in refusals)
    return nulled(put_together(values, owners, rows), any_of(rows, [refusal.where for refusal in raised])), raised


def _values(
    cells: Cells, name: str, rule: Rule, given: Given, shape: Sequence[Column] | None
) -> tuple[Any, tuple[Refusal, ...], Mask]:
    """Single values through pattern, code table and codec: the values, the refusals, and which say nothing."""
    cells = blank_to_null(cells)
    unsaid = np.zeros(len(cells), bool)
    refusals: list[Refusal] = []
    strange = mismatched(cells, rule.map)
    if strange.any():
        refusals.append(Refusal(strange, "pattern", {"pattern": rule.map.pattern}))
        cells = nulled(cells, strange)
    table = table_of(rule, given.codes)
    if table is None:
        reading = _coded(cells, rule, given, shape)
        return reading.values, (*refusals, *reading.refusals), unsaid
    looked = Lookup(cells.fill_null("") if "" in table else cells, _single_rule(rule), table, name)
    values = looked.values
    if rule.spec.type in LINKS and (rule.map.refers is None or rule.map.refers.by is None):
        values = link_keys([values], shape, given.variables)
    refusals += looked.refusals
    if looked.rest is not None and present(looked.rest).any():
        reading = _coded(looked.rest, rule, given, shape)
        values = placed(values, looked.unknown, contiguous(reading.values.filter(pa.array(looked.unknown))))
        refusals += reading.refusals
    return values, tuple(refusals), unsaid if looked.kept is None else looked.kept


def _coded(cells: Cells, rule: Rule, given: Given, shape: Sequence[Column] | None) -> Reading:
    """What the codec makes of the cells, as the field holds it and within the field's limits."""
    if rule.spec.type in LINKS and rule.map.as_ is None:
        by_field = rule.map.refers is not None and rule.map.refers.by is not None
        return Reading(cells if by_field else link_keys([cells], shape, given.variables))
    codec = codec_of(rule.map, rule.spec)
    decoded = codec.decode(cells, rule)
    fitting = converted(decoded.values, codec.gives, rule)
    limited = _limited(fitting.values, rule)
    values, refusals = limited.values, (*decoded.refusals, *fitting.refusals, *limited.refusals)
    if rule.spec.type in LINKS:
        values = link_keys([values], shape, given.variables)
    return Reading(values, refusals)


def _limited(values: Any, rule: Rule) -> Reading:
    if values.type != TEXT:
        return Reading(values)
    return among(values, rule) if rule.spec.type in ("choice", "choices") else fitted(values, rule)


def _single_rule(rule: Rule) -> Rule:
    """The rule for single values of a field that holds a set, or for the text of a link's key."""
    single_type = {"choices": "choice", "links": "text", "link": "text"}.get(rule.spec.type)
    return rule if single_type is None else replace(rule, spec=rule.spec.model_copy(update={"type": single_type}))


def _settle_blanks(reading: FieldReading, raw: Cells, name: str, rule: Rule) -> None:
    """What an empty cell means: cleared, kept, a value of its own, or a fault where a value is required."""
    refused = reading.refused
    empty = ~present(reading.columns[name]) & ~refused
    absent = reading.kept
    blank = empty & ~absent
    if rule.map.keeps_blank or (rule.map.default is not None and (rule.map.required or rule.spec.required)):
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


