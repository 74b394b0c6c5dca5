"""What `write:` says of the way back: which records are sent, how, and what may be made or ended over there."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from mappings.language.read import KINDS, Format, Records, Trailer, format_form
from mappings.language.strict import (
    NUMBER,
    Column,
    Columns,
    Expected,
    Interval,
    Names,
    OneOrMore,
    ShortForm,
    Strict,
)


class Key(Strict):
    """The columns that tell one row from another, and who numbers new ones; `key: CODE` is short for `{from: CODE}`."""

    expected: ClassVar[str] = "a column, a list of columns, or {from: COLUMN, assigned: remote}"

    from_: Annotated[Columns, Field(alias="from")]  # the columns, in order
    # who numbers a record that is sent for the first time: the system, or we (by a field that is written to the key)
    assigned: Literal["remote", "crm"] = "remote"


def key_form(value: Any) -> Any:
    """The long form of a key that is written as a column or a list of columns."""
    return {"from": value} if isinstance(value, str | int | list | tuple) and not isinstance(value, bool) else value


class RecordsAre(Strict):
    """Every value of a record's field but these."""

    not_: Annotated[tuple[str | int | float | bool | None, ...], OneOrMore, Field(alias="not")]  # stored values


Sent = Annotated[Names | RecordsAre, Expected("a value, a list of values, or {not: [...]}")]
"""Stored values of a field that let a record be sent, or that do not."""


class Write(Strict):
    """The way back to the system."""

    resource: str | None = None  # the table, model or path that is written; default: the one that is read
    mode: Literal["patch", "replace"] = "patch"  # send what changed, or read, change and write the whole row
    create: bool = False  # may new rows be made there?
    # what happens there when a record is archived here, where the mapping has no field `archived`
    archived: Literal["ignore", "archive", "delete"] = "ignore"
    # which records are sent: a field of the record, or of one that it links to (company.type), to stored values
    when: dict[str, Sent] = Field(default={})
    reference: Column | None = None  # the column where our id is put, and looked for after a lost answer
    # rows in one call; default: what the system takes
    batch: Annotated[int, Field(ge=1, le=10_000), NUMBER] | None = None
    # files: to a system that is a folder
    files: str | None = None  # the name of each file: {number:06d} counts them, {day:%Y%m%d}, {kind} is full or changes
    format: Annotated[Format, ShortForm(format_form, (KINDS,))] | None = None  # as in `read`; default: csv
    full: bool = False  # each file holds every record; else those that changed since the last one
    columns: Names | None = None  # the columns in order, also ones that stay empty; default: the key, then as mapped
    records: Records | None = None  # the record type that each line carries: `use` is written to the column `by`
    trailer: Trailer | None = None  # a last line that tells the number of rows, or a sum
    when_empty: Literal["skip", "write"] | None = None  # no row: no file, or one without rows; default: write if full
    neutral: bool = False  # an apostrophe before cells that a spreadsheet would execute; the reader has to drop it


class Live(Strict):
    """Small changes at once, in both directions, beside the scheduled runs."""

    poll: Interval | None = None  # how often a system that cannot call is asked; null: it calls (webhook, NOTIFY)


def live_form(value: Any) -> Any:
    """`live: true` is `{poll: 2s}`."""
    return {"poll": "2s"} if value is True else None if value is False else value
