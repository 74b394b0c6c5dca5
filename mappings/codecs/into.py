"""A whole page into one entity: which rows it takes, their keys, every field, and which rows are refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa

from mappings.codecs.cells import TEXT, Mask
from mappings.codecs.columns import columns_needed, resolve_column, source_columns
from mappings.codecs.conditions import accepted
from mappings.codecs.conversion import HOLDS
from mappings.codecs.field import FieldReading, Given, decode_field
from mappings.codecs.keys import Keys, read_keys
from mappings.codecs.single import LINKS
from mappings.codecs.values import Codes
from mappings.faults import Faults
from mappings.language.derived import Derived, in_source, is_part, roots
from mappings.language.entity import FieldSpec
from mappings.language.field import FieldMap

if TYPE_CHECKING:
    from mappings.language.flow import Into
    from mappings.language.project import Entity
    from mappings.language.strict import Column


@dataclass(frozen=True)
class Decoded:
    """A decoded page; everything is labelled as the page's frame, whole.

    values: the record's columns, Arrow-backed (links: the referred key, or value, as text); empty on rows that `when`
    left out, and in the refused fields of the others. A field none of whose columns the source has is not among them.
    keys: string[pyarrow], NA where no key could be read. kept: field to the rows that say nothing on it, only where
    any does. skipped: the rows that `when` left out. faults: the rows refused, of those that were not left out.
    """

    values: pd.DataFrame
    keys: pd.Series
    kept: dict[str, pd.Series]
    skipped: pd.Series
    faults: Faults


def decode_into(
    frame: pd.DataFrame,
    into: Into,
    entity: Entity,
    *,
    variables: Mapping[str, str],
    codes: Codes,
    decimal: Literal[".", ","] | None = None,
    key_shapes: Mapping[str, Sequence[Column]] | None = None,
    entities: Mapping[str, Entity] | None = None,
) -> Decoded:
    """Decodes one page for one into.

    `decimal` is the file's decimal sign where it is known. `key_shapes` gives, by link field, the key of the id space
    it refers to, so that variables in that key need not be repeated; a link to the into's own rows needs none.
    `entities`: those that links by a field lead to; a link to the into's own entity needs none.
    Raises ConfigurationError where the mapping itself is wrong.
    """
    taken = accepted(frame, into.when, variables)
    rows = _Rows(frame.index, taken)
    faults = Faults()
    keys = read_keys(frame, into.key, variables)
    shown = rows.series(keys.keys, whole=True)
    _refuse_keys(keys, into.key, taken, frame.index, faults)
    given = Given(frame if taken.all() else frame[taken], variables, codes, decimal)
    names = tuple(frame.columns)
    columns: dict[str, pd.Series] = {}
    kept: dict[str, pd.Series] = {}
    for name, field_map in into.fields.items():
        if not is_there(names, field_map):
            continue
        shape = (key_shapes or {}).get(name, _own_key(field_map, into))
        declared = spec_of(entity, name)
        spec = cell_spec(field_map, declared, entities or {entity.name: entity})
        reading = decode_field(given, name, field_map, spec, shape)
        if spec is not declared and HOLDS[spec.type] != "text":
            reading.columns = {name: reading.columns[name].cast(TEXT)}
        columns |= {column: rows.series(values) for column, values in reading.columns.items()}
        if reading.kept.any():
            kept[name] = rows.series(pa.array(reading.kept)).fillna(False).astype(bool)
        _report(reading, name, given.frame.index, faults)
    return Decoded(pd.DataFrame(columns, index=frame.index), shown, kept, pd.Series(~taken, frame.index), faults)


def _refuse_keys(keys: Keys, columns: Sequence[Column], taken: Mask, labels: pd.Index[Any], faults: Faults) -> None:
    """Each row whose key cannot be read, with the parts that are to blame."""
    missing = keys.missing & taken
    if missing.any():
        blank = np.column_stack(keys.blank)
        for lacking in np.unique(blank[missing], axis=0):  # few: the ways in which a key of some parts can lack them
            named = ", ".join(_shown(column) for column, lacks in zip(columns, lacking, strict=True) if lacks)
            faults.add(labels[missing & (blank == lacking).all(axis=1)], field=named, code="no_key")
    for column, part, broken in zip(columns, keys.parts, keys.broken, strict=True):
        value = pd.Series(pd.arrays.ArrowStringArray(part), index=labels)
        faults.add(labels[broken & taken], field=_shown(column), code="not_text", value=value)


def is_there(frame_columns: Sequence[str], field_map: FieldMap) -> bool:
    """Whether the source has any column that the field comes from; constants and variables always are there."""
    named = source_columns(field_map)
    if field_map.join is not None:  # what stands in every row says nothing without what stands in this one
        named = [column for column in named if in_source(column)]
    return not named or any(_is_there(frame_columns, column) for column in named)


def _is_there(frame_columns: Sequence[str], column: Column) -> bool:
    found = [root for root in roots(column) if not is_part(root)]
    return not found or any(resolve_column(frame_columns, root) is not None for root in found)


def _shown(column: Column) -> str:
    """A column as people find it in the source: a derived one with what it is made of."""
    made_of = ", ".join(str(root) for root in roots(column)) if isinstance(column, Derived) else ""
    return f"{column} ({made_of})" if made_of else str(column)


def spec_of(entity: Entity, name: str) -> FieldSpec:
    """What the entity says of a field; type, family and archived are there without being declared."""
    if name in entity.fields:
        return entity.fields[name]
    if name == "archived":
        return FieldSpec(type="boolean")
    values = entity.types if name == "type" else entity.families
    return FieldSpec(type="choice", values=tuple(values))


def cell_spec(field_map: FieldMap, spec: FieldSpec, entities: Mapping[str, Entity]) -> FieldSpec:
    """What the cells of a field hold: those of a link by a field what that field holds (of a set, each value of it).

    So `FR 71 635574122` is looked for as records have it, and what that field would refuse is no record's.
    """
    refers = field_map.refers
    if spec.type not in LINKS or refers is None or refers.by is None:
        return spec
    target = entities.get(refers.entity)
    looked = target.fields.get(refers.by) if target is not None else None
    if looked is None:  # our id, which files may have
        return FieldSpec()
    if spec.type == "links":
        return FieldSpec(type="choices", format=looked.format)
    return looked.model_copy(update={"required": False})


def _own_key(field_map: FieldMap, into: Into) -> Sequence[Column] | None:
    refers = field_map.refers
    same = refers is not None and refers.entity == into.entity and refers.in_ is None and refers.ids in (None, into.ids)
    return into.key if same else None


def _report(reading: FieldReading, name: str, labels: pd.Index[Any], faults: Faults) -> None:
    for refusal, raw in reading.refusals:
        value = pd.Series(pd.arrays.ArrowStringArray(raw), index=labels)
        faults.add(labels[refusal.where], field=name, code=refusal.code, value=value, **refusal.params)


class _Rows:
    """Puts values of the rows that were taken back beside those that were left out."""

    def __init__(self, labels: pd.Index[Any], taken: Mask) -> None:
        self.labels = labels
        self.places: pa.Array | None = None
        if not taken.all():
            self.places = pa.array(np.cumsum(taken) - 1, mask=~taken)

    def series(self, values: Any, *, whole: bool = False) -> pd.Series:
        if self.places is not None and not whole:
            values = values.take(self.places)
        text = values.type in (pa.string(), pa.large_string())
        held = pd.arrays.ArrowStringArray(values) if text else pd.arrays.ArrowExtensionArray(values)
        return pd.Series(held, index=self.labels)


__all__ = ["Decoded", "cell_spec", "columns_needed", "decode_into", "is_there", "resolve_column", "spec_of"]
