"""The rows of an outbound file: records as the store has them, a page at a time, as cells in the file's columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import ColumnElement, Connection, Select, and_, select

from connectors.file.neutral import neutralised
from connectors.file.outbound.open import used
from connectors.file.outbound.port import TEXT, Flags, flags
from crm_store import hub_tables as hub
from mappings.codecs.encode import encode_field
from mappings.codecs.keys import parts_of
from mappings.codecs.values import Codes
from mappings.codecs.written import Written, field_cells, written
from mappings.language.flow import Flow
from pipelines.stages.plan import FieldPlan, IntoPlan
from pipelines.stages.sending import allowed, arrays_of, spec_of, values_of

PAGE_ROWS = 20_000
_KEY = "#key"
_PLAIN = ("number", "decimal", "money", "quantity", "boolean")


@dataclass(frozen=True)
class FilePlan:
    """A flow that writes files, compiled."""

    flow: Flow
    plan: IntoPlan

    @cached_property
    def shape(self) -> Written:
        return written(self.flow)

    @cached_property
    def fields(self) -> tuple[FieldPlan, ...]:
        """The fields that are written."""
        return tuple(item for item in self.plan.fields if field_cells(item.map))

    def _main(self, *types: str) -> frozenset[str]:
        found = [item for item in self.fields if spec_of(self.plan, item).type in types]
        return frozenset(self.shape.name(field_cells(item.map)[0]) for item in found if item.map.split is None)

    @property
    def plain(self) -> frozenset[str]:
        """Columns of numbers and truths."""
        return self._main(*_PLAIN)

    @property
    def lists(self) -> frozenset[str]:
        """Columns that hold a JSON list."""
        return self._main("choices", "links")

    @property
    def decimal(self) -> str | None:
        """The decimal sign of the file's numbers."""
        form = self.flow.write.format
        said = (form.csv or form.fixed or form.excel) if form is not None else None
        return said.decimal if said is not None else None


@dataclass(frozen=True)
class FilePage:
    """Rows in the order of their records. `ids`: the records. `cells`: by column, in the order of the file.
    `faults`: row (from 0) to why it cannot be written: code and params."""

    ids: Sequence[int]
    cells: dict[str, pa.Array]
    faults: dict[int, dict[str, Any]]

    def less(self, faults: Mapping[int, Any]) -> FilePage:
        """The page without these rows."""
        if not faults:
            return self
        keep: Flags = np.ones(len(self.ids), dtype=bool)
        keep[list(faults)] = False
        mask = pa.array(keep)
        ids = [number for number, kept in zip(self.ids, keep.tolist(), strict=True) if kept]
        return FilePage(ids, {name: cells.filter(mask) for name, cells in self.cells.items()}, {})


def rows_of(filed: FilePlan, marked: ColumnElement[bool] | None) -> Select[Any]:
    """The records that the flow sends; of those only the ones with such a marker (none: all).

    Archived ones only where the mapping has a column that tells them. Where the key is one that the system gave,
    records that it does not know are left out, unless the flow may make new ones.
    """
    plan, write = filed.plan, filed.flow.write
    r, x, box = plan.record, plan.crosswalk, hub.outbox
    query = values_of(plan, filed.fields).where(allowed(plan, write)).order_by(r.c.id)
    if filed.shape.key:
        key = (
            select(x.c.key).where(x.c.record_id == r.c.id, x.c.id_space == plan.id_space)
            .order_by(x.c.is_primary.desc(), x.c.key).limit(1).correlate(r).scalar_subquery()
        )
        query = query.add_columns(key.label(_KEY))
        if not write.create:
            query = query.where(key.is_not(None))
    if not any(item.name == "archived" for item in filed.fields):
        query = query.where(r.c.archived_at.is_(None))
    if marked is not None:
        query = query.join(box, and_(box.c.feed == plan.feed, box.c.record_id == r.c.id, marked))
    return query


def pages_of(connection: Connection, filed: FilePlan, codes: Codes, marked: ColumnElement[bool] | None, *,
             limit: int | None = None) -> Iterator[FilePage]:
    """Streamed through a cursor of the server: the caller's transaction is the one snapshot that all pages show."""
    query = rows_of(filed, marked).limit(limit).execution_options(yield_per=PAGE_ROWS)
    with connection.execute(query) as found:
        names = list(found.keys())
        for part in found.partitions():
            columns = dict(zip(names, zip(*part, strict=True), strict=True))
            yield _page(filed, columns, codes)


def _page(filed: FilePlan, columns: Mapping[str, Sequence[Any]], codes: Codes) -> FilePage:
    ids: Sequence[int] = columns["#id"]
    found: dict[str, pa.Array] = {}
    faults: dict[int, dict[str, Any]] = {}
    for item in filed.fields:
        _field(filed, item, columns, codes, found, faults)
    shape, write = filed.shape, filed.flow.write
    if shape.reference is not None:
        found[shape.reference] = pa.array(map(str, ids), TEXT)
    if shape.kind is not None:
        found[shape.kind] = pa.array([used(write)] * len(ids), TEXT)
    found |= _keys(shape, columns[_KEY]) if shape.key else {}
    if not shape.key:  # a row without its key could not be told from others
        for name in shape.own_key:
            for row in np.flatnonzero(flags(pc.equal(found[name], ""))).tolist():
                faults.setdefault(row, {"code": "no_key", "field": name})
    ordered = {name: found[name] for name in shape.columns if name in found}
    if write.neutral:
        ordered = {name: neutralised(cells) for name, cells in ordered.items()}
    return FilePage(ids, ordered, faults)


def _field(filed: FilePlan, item: FieldPlan, columns: Mapping[str, Sequence[Any]], codes: Codes,
           found: dict[str, pa.Array], faults: dict[int, dict[str, Any]]) -> None:
    """The cells of one field, and the rows in which it cannot be written."""
    spec = spec_of(filed.plan, item)
    if item.reference is not None:
        for row in _unlinked(item, columns):
            faults.setdefault(row, {"code": "link_unknown", "field": item.name, "entity": item.reference.entity})
    cells, refusals = encode_field(item.name, item.map, spec, arrays_of(item, spec, columns.__getitem__), codes=codes,
                                   decimal=filed.decimal)
    for refusal in refusals:
        for row in np.flatnonzero(refusal.where).tolist():
            faults.setdefault(row, {"code": refusal.code, "field": item.name, **refusal.params})
    for column, written_cells in cells.items():
        for row in np.flatnonzero(flags(pc.is_null(written_cells))).tolist():
            value = columns[item.name][row]
            faults.setdefault(row, {"code": "not_writable", "field": item.name, "value": str(value)})
        found[filed.shape.name(column)] = pc.fill_null(written_cells, "").cast(TEXT)


def _unlinked(item: FieldPlan, columns: Mapping[str, Sequence[Any]]) -> list[int]:
    """Rows that link to a record which the system does not know yet."""
    linked, keys = pa.array(columns[item.name]), columns[f"@{item.name}"]
    if item.reference is None or not item.reference.many:
        return list(np.flatnonzero(flags(pc.and_(pc.is_valid(linked), pc.is_null(pa.array(keys))))).tolist())
    lists = pa.array(keys, pa.large_list(TEXT))
    rows = pc.list_parent_indices(lists).filter(pc.is_null(pc.list_flatten(lists)))
    return sorted(set(rows.to_pylist()))


def _keys(shape: Written, keys: Sequence[str | None]) -> dict[str, pa.Array]:
    """The columns of a key that the system gave; blank for a record that it does not know."""
    if len(shape.key) == 1 and not any(key and "\\" in key for key in keys):
        return {shape.key[0]: pc.fill_null(pa.array(keys, TEXT), "")}
    parts = [("",) * len(shape.key) if key is None else tuple(parts_of(key)) for key in keys]
    return {name: pa.array([part[at] for part in parts], TEXT) for at, name in enumerate(shape.key)}
