"""The temporary tables of one into in one applied batch, and the rows it sets aside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd
from sqlalchemy import BigInteger, Boolean, Column, Connection, Integer, MetaData, Table, Text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from crm_store.named_ddl import create_tables, drop_tables, named
from pipelines.stages.held import json_text, raw_rows
from pipelines.stages.plan import IntoPlan, Reference
from pipelines.stages.staging import Staging, held_columns, match_columns, staged_type


@dataclass(frozen=True)
class Work:
    """Temporary tables of one into, of a batch: m (matched), z (resolved), h (held)."""

    m: Table
    z: Table
    h: Table

    @property
    def tables(self) -> tuple[Table, ...]:
        return (self.m, self.z, self.h)

    def create(self, connection: Connection) -> None:
        """Makes them, anew where the connection has them already."""
        drop_tables(connection, [named("pg_temp", table.name) for table in self.tables])
        create_tables(connection, self.tables)


def held_from(connection: Connection, staging: Staging, plan: IntoPlan, told: list[Any]) -> pd.DataFrame:
    """Rows of `held` (columns held.NAMES) for matched rows that are not applied, with their raw content."""
    raw = raw_rows(connection, staging, {row["source_no"] for row in told})
    lines = []
    for row in told:
        waits = _waits(plan, row) if row["outcome"] == "parked" else []
        causes = [{"field": row["field"] or "", "code": row["code"], "params": row["params"] or {}, "value": None}]
        lines.append({
            "row_no": row["row_no"], "source_no": row["source_no"], "line": row["line"],
            "key": row["key"], "mark": row["mark"],
            "outcome": row["outcome"], "code": row["code"], "field": row["field"], "causes": json_text(causes),
            "raw": raw.get(row["source_no"]), "raw_text": None,
            "candidates": "{" + ",".join(map(str, row["candidates"] or [])) + "}" if row["candidates"] else None,
            "waits_for": json_text(waits) if row["outcome"] == "parked" else None,
        })
    return pd.DataFrame(lines).astype({"mark": "Int64", "line": "Int64"})


def _waits(plan: IntoPlan, row: Any) -> list[dict[str, Any]]:
    """What would let a parked row in: each record that its links lack, by its key in id spaces or by a field; else the
    row's own, by its key or by the values that match rules compare."""
    waits = [
        {**_where(r), "key": row[f"k_{r.column}"]}
        for r in plan.references
        if not r.many and r.otherwise == "park" and row[f"k_{r.column}"] is not None and row[f"l_{r.column}"] is None
    ]
    waits += [
        {**_where(r), "keys": list(row[f"k_{r.column}"])}
        for r in plan.references if r.many and r.otherwise == "park"
        and len(row[f"l_{r.column}"] or ()) < len(set(row[f"k_{r.column}"] or ()))
    ]
    if not waits and not plan.into.create:
        itself = {"entity": plan.into.entity, "spaces": [plan.id_space], "key": row["key"]}
        # While a create is open no record that fits lets it in.
        fits = {"values": row["values"]} if row["code"] == "waits_for" and row.get("values") else {}
        waits.append(itself | fits)
    return waits


def _where(reference: Reference) -> dict[str, Any]:
    """Where what a link names is looked for."""
    among = {"by": reference.by} if reference.by else {"spaces": list(reference.spaces)}
    return {"entity": reference.entity, **among}


def work_tables(plan: IntoPlan, number: int, prefix: str = "", *, keyed: bool = True) -> Work:
    """The tables of the into at place `number`; made on each connection that applies, and emptied by each commit.
    `prefix`: of small runs, whose connections keep them, and empty them when they begin.

    `keyed`, since what joins them looks each row up: read whole for every row, 10,000 rows took nine seconds. A few
    rows have no use for an index.
    """
    metadata, on_commit = MetaData(), None if prefix else "DELETE ROWS"

    def temporary(name: str, *columns: Column[Any]) -> Table:
        return Table(f"{prefix}{name}{number}", metadata, *columns, prefixes=["TEMPORARY"],
                     postgresql_on_commit=on_commit)

    z: list[Column[Any]] = [
        Column("row_no", BigInteger, primary_key=keyed, autoincrement=False), Column("record_id", BigInteger),
        Column("changed", Boolean), Column("back", Boolean), Column("open", Boolean), Column("base_set", Integer),
        Column("base_fields", ARRAY(Text)), Column("remote", JSONB), Column("pending", ARRAY(Text)),
    ]
    for field in plan.fields:
        for column in field.columns:
            kind = staged_type(plan, column).type
            z += [Column(f"n_{column}", kind), Column(f"b_{column}", kind)]
        z.append(Column(f"w_{field.name}", Text))
    if plan.shared_space:
        z.append(Column("agreed", ARRAY(Text)))
    matched = [Column("row_no", BigInteger, primary_key=keyed, autoincrement=False), *match_columns(plan)[1:]]
    return Work(temporary("m", *matched), temporary("z", *z), temporary("h", *held_columns()))
