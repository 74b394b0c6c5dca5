"""What a system had of a record at the last agreement, in which rows, and which of ranked masters says something."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, Text, and_, any_, case, cast, exists, false, func, literal, null, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.sql.selectable import FromClause

from crm_store import hub_tables as hub
from pipelines.stages.plan import IntoPlan


def image_of(x: FromClause, column: str, base: ColumnElement[Any]) -> ColumnElement[Any]:
    """What the remote had at the last agreement: nearly always what the CRM had."""
    name = literal(column, Text)
    told: ColumnElement[Any]
    if isinstance(base.type, ARRAY):
        listed = func.nullif(func.jsonb_extract_path(x.c.remote, name), cast(literal("null", Text), JSONB))
        elements = func.jsonb_array_elements_text(listed).column_valued("element")
        told = select(func.array_agg(cast(elements, base.type.item_type))).scalar_subquery()
    else:
        told = cast(func.jsonb_extract_path_text(x.c.remote, name), base.type)
    return case((x.c.remote.is_(None), base), (func.jsonb_exists(x.c.remote, name), told), else_=base)


def other_row_says(plan: IntoPlan, columns: Sequence[str], v: FromClause) -> ColumnElement[bool]:
    """Whether another row of the record in this system than that of `v`, which is not gone, has what the record has."""
    other, space = plan.crosswalk.alias("other_row"), hub.id_space
    same = [image_of(other, column, other.c[f"b_{column}"]).is_not_distinct_from(v.c[f"c_{column}"])
            for column in columns]
    return exists().where(
        other.c.record_id == v.c.record_id, other.c.absent_since.is_(None),
        ~and_(other.c.id_space == plan.id_space, other.c.key == v.c.key),
        other.c.id_space.in_(select(space.c.id).where(space.c.system == plan.system)), *same,
    )


def master_has(plan: IntoPlan, systems: tuple[str, ...], field: str, record_id: ColumnElement[Any]
               ) -> ColumnElement[bool]:
    """Whether one of the `systems` has the record, and a base of the field: what the record has is what it says, also
    where that is nothing."""
    if not systems:
        return false()
    other, space, known = plan.crosswalk.alias("master_x"), hub.id_space.alias("master_space"), hub.field_set
    return exists().where(
        other.c.record_id == record_id, other.c.absent_since.is_(None), other.c.id_space == space.c.id,
        space.c.system.in_(systems), known.c.id == other.c.base_set, literal(field, Text) == any_(known.c.fields),
    )


def higher_rank_says(plan: IntoPlan, ranks: tuple[str, ...], column: str, record_id: ColumnElement[Any]
                     ) -> ColumnElement[bool]:
    """Whether one of the systems `ranks` that has the record says something on `column` of it."""
    if not ranks:
        return false()
    other, space = plan.crosswalk.alias("ranked_x"), hub.id_space.alias("ranked_space")
    return exists().where(
        other.c.record_id == record_id, other.c.id_space == space.c.id, space.c.system.in_(ranks),
        image_of(other, column, other.c[f"b_{column}"]).is_not(None),
    )


def next_says(plan: IntoPlan, below: tuple[str, ...], first: str, column: str, v: FromClause) -> ColumnElement[Any]:
    """The column as the first of the systems `below` has it that says something on the field, whose first column is
    `first`; null where none does. `v`: the records, by record_id."""
    other, space = plan.crosswalk.alias(f"next_{column}"), hub.id_space.alias(f"next_space_{column}")
    if not below:
        return cast(null(), other.c[f"b_{column}"].type)
    rank = func.array_position(literal(list(below), ARRAY(Text)), space.c.system)
    return (
        select(image_of(other, column, other.c[f"b_{column}"]))
        .join_from(other, space, space.c.id == other.c.id_space)
        .where(other.c.record_id == v.c.record_id, space.c.system.in_(below),
               image_of(other, first, other.c[f"b_{first}"]).is_not(None))
        .order_by(rank, other.c.is_primary.desc(), other.c.id_space, other.c.key).limit(1)
        .correlate(v).scalar_subquery()
    )
