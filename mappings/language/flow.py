"""A flow file: one resource of a system, read into one or several entities."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from mappings.language.field import AnyFieldMap
from mappings.language.read import Read
from mappings.language.strict import Column, Columns, Expected, Names, OneOrMore, Strict
from mappings.words import Direction


class Owner(Strict):
    """The record that a child row hangs on: the one that an earlier `into` of the same row gave.

    Sets the child's link field (default: named like the owner's entity) and, with `role`, its field `role`.
    """

    entity: str
    role: str | None = None
    field: str | None = None
    into: str | None = None  # the `name` of the into, where several fill that entity


def _owner(value: Any) -> Any:
    return {"entity": value} if isinstance(value, str) else value


class MatchRule(Strict):
    """Records fit when all `on` fields are equal (normalised, none empty).

    With `agree`, a single fit counts only if at least one of those fields is equal too (normalised); it is doubtful
    when none is, and goes to review. A field that is empty on either side neither agrees nor differs; when all are
    empty the fit counts.
    """

    on: Names
    agree: Names = ()
    unless: Names = ()  # a record that has another value in one of these (neither empty) is a stranger, not a candidate


def _match_rule(value: Any) -> Any:
    return {"on": value} if isinstance(value, str | list) else value


AnyMatchRule = Annotated[MatchRule, BeforeValidator(_match_rule)]


class Not(Strict):
    not_: Annotated[tuple[str | int | float | bool | None, ...], OneOrMore, Field(alias="not")]


class Matches(Strict):
    matches: str  # a regular expression on the whole raw value


Condition = Annotated[
    Annotated[tuple[str | int | float | bool | None, ...], OneOrMore] | Not | Matches,
    Expected("a raw value, a list of them, {not: [...]} or {matches: REGEX}"),
]
"""Raw values (compared as text, blanks as '') that let a row pass, or that do not."""


class Into(Strict):
    """One entity that the rows of the flow go into."""

    entity: str
    name: str | None = None  # default: the entity; needed where one flow has the same entity twice
    ids: str | None = None  # id space; default: the flow's name (plus the into's name from the second on)
    key: Columns
    aliases: bool = False  # several keys of the id space may be one record
    when: dict[str, Condition] = {}
    each: str | None = None  # nested lists (JSON lines): a path; each element is a row; ^name reaches the parent
    owner: Annotated[Owner | None, BeforeValidator(_owner)] = None
    whole: bool = False  # children: what the owner's rows no longer name is absent
    match: tuple[AnyMatchRule, ...] = ()
    on_match: Literal["update", "keep", "review"] = "update"
    create: bool = True  # false: rows without a record are parked until one exists
    scope: dict[str, Names] = {}
    defaults: dict[str, Any] = {}
    absent: Literal["archive", "unlink", "ignore", "review"] = "ignore"
    fields: dict[str, AnyFieldMap] = {}
    expect: tuple[dict[str, dict[str, Any]], ...] = ()

    @property
    def label(self) -> str:
        return self.name or self.entity


def _percent(value: Any) -> Any:
    if isinstance(value, str) and value.strip().endswith("%"):
        try:
            return float(value.strip()[:-1]) / 100
        except ValueError:
            return value
    return value


Share = Annotated[float, BeforeValidator(_percent), Field(ge=0, le=1), Expected("a share such as 5% or 0.05")]
"""`5%` or 0.05."""


class Guard(Strict):
    """Beyond these shares the run changes nothing and waits in review; null switches one off."""

    rejects: Share | None = 0.50
    creates: Share | None = None
    updates: Share | None = None
    archives: Share | None = 0.20


class Schedule(Strict):
    changes: str | None = None  # cron
    full: str | None = None
    timezone: str = "Europe/Paris"


def _schedule(value: Any) -> Any:
    return {"changes": value} if isinstance(value, str) else value


class Flow(Strict):
    """One mapping file, after `like` was laid under it."""

    flow: str
    like: str | None = None  # another flow: what is not said here is as there
    abstract: bool = False  # only a model for others: never run, and may be incomplete
    system: str
    direction: Direction = "in"
    description: str = ""
    after: Names = ()  # flows that fill what this one refers to; default: found from `refers`
    read: Read = Read()
    into: Annotated[tuple[Into, ...], OneOrMore, Field(min_length=1)]
    guard: Guard = Guard()
    schedule: Annotated[Schedule | None, BeforeValidator(_schedule)] = None

    def space_of(self, into: Into) -> str:
        """The id space of `into` (one of this flow's): as declared, else the flow, with the label from the second on."""
        first = next(other for other in self.into if other.entity == into.entity)
        return into.ids or (self.flow if first.label == into.label else f"{self.flow}.{into.label}")


__all__ = ["Column", "Flow", "Guard", "Into", "MatchRule", "Owner", "Schedule"]
