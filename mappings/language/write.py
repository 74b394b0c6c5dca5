"""What `write:` says of the way back: which records are sent, how, and what may be made or ended over there."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from mappings.language.strict import Column, Columns, Expected, Names, OneOrMore, Strict

DURATION = r"^\d+(\.\d+)?(ms|s|m|h)$"
Duration = Annotated[str, Field(pattern=DURATION), Expected("a time such as 2s, 500ms or 5m")]


class Key(Strict):
    """The columns that tell one row from another, and who numbers new ones; `key: CODE` is short for `{from: CODE}`."""

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
    batch: Annotated[int, Field(ge=1, le=10_000)] | None = None  # rows in one call; default: what the system takes


class Live(Strict):
    """Small changes at once, in both directions, beside the scheduled runs."""

    poll: Duration | None = None  # how often a system that cannot call is asked; null: it calls (webhook, NOTIFY)


def live_form(value: Any) -> Any:
    """`live: true` is `{poll: 2s}`."""
    return {"poll": "2s"} if value is True else None if value is False else value
