"""Whether a value is another one: a set without members is none, and systems cut, trim or rewrite what they get."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, ColumnElement, String, Text, and_, cast, false, func, literal, or_, select
from sqlalchemy.dialects.postgresql import ARRAY

from crm_store import hub_tables as hub

TELLING = 8
"""Letters or digits that tell one value from another (as in pipelines.runs.likeness, of cells)."""


def is_read_back() -> ColumnElement[bool]:
    """Whether the run that applies reads what has just been written."""
    run = func.nullif(func.current_setting("navette.run", True), "")
    trigger = select(hub.run.c.trigger == "readback").where(hub.run.c.id == cast(run, BigInteger)).scalar_subquery()
    return func.coalesce(trigger, false())


def may_be_made_of(there: ColumnElement[Any], sent: ColumnElement[Any]) -> ColumnElement[bool]:
    """Equal; of texts also alike but for case, accents and signs, or the beginning of what was sent."""
    same = some_of(there).is_not_distinct_from(some_of(sent))
    if not isinstance(there.type, String):
        return same
    theirs, ours = func.crm.fold(cast(there, Text)), func.crm.fold(cast(sent, Text))
    cut = and_(func.length(theirs) >= TELLING, func.starts_with(ours, theirs))
    return func.coalesce(or_(same, theirs == ours, cut), false())


def some_of(value: ColumnElement[Any]) -> ColumnElement[Any]:
    """A set without members is no other value than none."""
    if not isinstance(value.type, ARRAY):
        return value
    return func.nullif(value, cast(literal("{}", Text), value.type), type_=value.type)
