"""Which columns an outbound file has, in order, and what fills each: a field, our id, the record type, or the key."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mappings.codecs.way_out import one_way, way_out
from mappings.language.field import FieldMap, Part
from mappings.language.flow import Flow
from mappings.language.strict import Column


@dataclass(frozen=True)
class Written:
    """`columns` in the order of the file; `key`: its columns that hold the key by which the system knows the record,
    empty where fields or our id fill them all. `reference`: the column of our id. `kind`: that of the record type."""

    columns: tuple[str, ...]
    own_key: tuple[str, ...]
    key: tuple[str, ...]
    reference: str | None
    kind: str | None

    def name(self, column: Column) -> str:
        """The name of a column that the mapping names, maybe by its position from 1."""
        return named(column, self.columns)


def named(column: Column, columns: tuple[str, ...]) -> str:
    """A column by its name, or by its position where there is one."""
    return columns[column - 1] if isinstance(column, int) and 1 <= column <= len(columns) else str(column)


def field_cells(line: FieldMap) -> list[Column]:
    """The columns that one field writes; none where it is not written."""
    if line.out is False:
        return []
    way = way_out(line)
    if one_way(way) is not None or way.from_ is None:
        return []
    parts = [part.from_ for part in (way.currency, way.unit) if isinstance(part, Part) and part.from_ is not None]
    return [way.from_, *parts]


def declared(flow: Flow) -> tuple[str, ...] | None:
    """The columns, where the mapping lists them all; None where they are those that are mapped."""
    write = flow.write
    if write.records is not None and write.records.columns is not None:
        return tuple(write.records.columns)
    form = write.format
    if form is not None and form.fixed is not None:
        return tuple(form.fixed.columns)
    if form is not None and form.csv is not None and isinstance(form.csv.header, tuple):
        return form.csv.header
    return write.columns


def mapped(flow: Flow) -> Iterator[Column]:
    """Every column that something fills, the key first."""
    into, write = flow.into[0], flow.write
    yield from into.key
    for line in into.fields.values():
        yield from field_cells(line)
    if write.reference is not None:
        yield write.reference
    if write.records is not None and not isinstance(write.records.by, tuple):
        yield write.records.by


def without_names(flow: Flow) -> bool:
    """Whether columns go by position only."""
    form = flow.write.format
    return declared(flow) is None and form is not None and any(
        part is not None and part.header is False for part in (form.csv, form.excel))


def written(flow: Flow) -> Written:
    """The columns of the files that the flow writes."""
    columns = declared(flow)
    every = list(mapped(flow))
    if columns is None and without_names(flow):
        positions = [int(column) for column in every if str(column).isdigit()]
        columns = tuple(str(place) for place in range(1, max(positions, default=0) + 1))
    elif columns is None:
        columns = tuple(dict.fromkeys(str(column) for column in every))
    into, write = flow.into[0], flow.write
    by = write.records.by if write.records is not None else None
    filled = {named(column, columns) for line in into.fields.values() for column in field_cells(line)}
    reference = None if write.reference is None else named(write.reference, columns)
    own = tuple(named(column, columns) for column in into.key)
    known = tuple(name for name in own if name not in filled and name != reference)
    return Written(columns, own, known, reference, None if by is None or isinstance(by, tuple) else named(by, columns))
