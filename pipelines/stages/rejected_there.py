"""Rejected rows of a system that may be records which are about to be made there.

What could not be read was not matched either. So its raw cells are compared with those that would be written, by the
flow's own match rules::

    match: [siret, [name, postal_code]]     siret: SIRET     a row with that SIRET, refused for its date: not made again
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Connection,
    Select,
    Text,
    bindparam,
    column,
    exists,
    func,
    literal,
    literal_column,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB

from crm_store import hub_tables as hub
from mappings.codecs.columns import field_columns
from mappings.language.flow import MatchRule
from pipelines.stages.plan import IntoPlan
from pipelines.stages.sending import Send

SAID = bindparam("said", type_=JSONB)


def fit_rejected(connection: Connection, plan: IntoPlan, sends: Sequence[Send]) -> None:
    """A fault (*may_be_there*) for each create whose cells fit an open rejected row of the plan's ids, by a match rule
    of which each field is one cell."""
    made = {send.record_id: send for send in sends if send.operation == "create" and send.fault is None}
    rules = [columns for rule in plan.into.match if (columns := _columns(plan, rule))] if made else []
    for columns in rules:
        said = [{"record": record, "cells": [send.cells.get(name, "") for name in columns]}
                for record, send in made.items()]
        asked = plan.once(("rejected there", columns), partial(_fitting, plan, columns))
        for record, row in connection.execute(asked, {"said": said}):
            made[record].fault = made[record].fault or {"code": "may_be_there", "row": row}


def _columns(plan: IntoPlan, rule: MatchRule) -> tuple[str, ...]:
    """The columns that the rule's fields are written to; none where a field is not one of its own, or a link."""
    fields = {field.name: field for field in plan.fields if field.reference is None}
    found = [field_columns(fields[name].map) if name in fields else [] for name in rule.on]
    return tuple(str(columns[0]) for columns in found) if all(len(columns) == 1 for columns in found) else ()


def _fitting(plan: IntoPlan, columns: Sequence[str]) -> Select[Any]:
    held, feed, x = hub.held, hub.feed, plan.crosswalk
    said = func.jsonb_to_recordset(SAID).table_valued(
        column("record", BigInteger), column("cells", ARRAY(Text)), name="said").render_derived(with_types=True)
    alike = [_folded(func.json_extract_path_text(held.c.raw, name)) == func.nullif(_folded(said.c.cells[place]), "")
             for place, name in enumerate(columns, 1)]
    mine = [feed.c.id_space == plan.id_space, held.c.state == literal_column("'open'"),
            held.c.outcome == literal_column("'rejected'"), held.c.raw.is_not(None),
            ~exists().where(x.c.id_space == plan.id_space, x.c.key == held.c.key)]  # a known row is another record
    return (
        select(said.c.record, func.min(held.c.id)).select_from(said)
        .join(held, literal(True)).join(feed, feed.c.id == held.c.feed).where(*mine, *alike).group_by(said.c.record)
    )


def _folded(cell: ColumnElement[str]) -> ColumnElement[str]:
    """Without case and white space: how the row writes it may be what could not be read."""
    return func.regexp_replace(func.lower(cell), r"[[:space:]]+", "", "g")
