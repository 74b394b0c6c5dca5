"""A flow file: one resource of a system, read into one or several entities."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from mappings.language.cron import cron_problem, zone_problem
from mappings.language.derived import derived_columns, with_derived
from mappings.language.field import AnyFieldMap
from mappings.language.read import Read
from mappings.language.strict import NUMBER, TEXT, Column, Columns, Expected, Names, OneOrMore, ShortForm, Strict
from mappings.language.write import Key, Live, Write, key_form, live_form
from mappings.words import Direction


class Owner(Strict):
    """The record that a child row hangs on: the one that an earlier `into` of the same row gave.

    Sets the child's link field (default: named like the owner's entity) and, with `role`, its field `role`.
    """

    entity: str  # the owner's entity
    role: str | None = None  # what the child is to it: the value of the child's field `role`
    field: str | None = None  # the child's link to it; default: named like the owner's entity
    into: str | None = None  # the `name` of the into, where several fill that entity

    @property
    def column(self) -> str:
        """The child's link to it."""
        return self.field or self.entity


def _owner(value: Any) -> Any:
    return {"entity": value} if isinstance(value, str) else value


class MatchRule(Strict):
    """Records fit when all `on` fields are equal (normalised, none empty).

    With `agree`, a single fit counts only if at least one of those fields is equal too (normalised); it is doubtful
    when none is, and goes to review. A field that is empty on either side neither agrees nor differs; when all are
    empty the fit counts.
    """

    on: Names  # all of these are equal
    agree: Names = ()  # at least one of these is equal too, else the fit is doubtful
    unless: Names = ()  # a record that has another value in one of these (neither empty) is a stranger, not a candidate


def _match_rule(value: Any) -> Any:
    return {"on": value} if isinstance(value, str | list) else value


AnyMatchRule = Annotated[MatchRule, ShortForm(_match_rule, (TEXT, {"type": "array", "items": TEXT}))]


class Not(Strict):
    """Every row but those with one of these values."""

    not_: Annotated[tuple[str | int | float | bool | None, ...], OneOrMore, Field(alias="not")]  # raw values


class Matches(Strict):
    """Rows whose value has a form."""

    matches: str  # a regular expression on the whole raw value


Condition = Annotated[
    Annotated[tuple[str | int | float | bool | None, ...], OneOrMore] | Not | Matches,
    Expected("a raw value, a list of them, {not: [...]} or {matches: REGEX}"),
]
"""Raw values (compared as text, blanks as '') that let a row pass, or that do not."""


Absence = Literal["archive", "unlink", "ignore", "review"]
"""What happens to what is absent."""


class Into(Strict):
    """One entity that the rows of the flow go into."""

    entity: str  # what the rows become
    name: str | None = None  # default: the entity; needed where one flow has the same entity twice
    ids: str | None = None  # id space; default: the flow's name (plus the into's name from the second on)
    # the columns that tell one row from another in the id space, and who numbers new ones
    keyed: Annotated[Key, ShortForm(key_form, (TEXT, {"type": "array", "items": TEXT})), Field(alias="key")]
    aliases: bool = False  # several keys of the id space may be one record
    when: dict[str, Condition] = Field(default={})  # which rows this into takes: column to raw values; all must hold
    each: str | None = None  # nested lists (JSON lines): a path; each element is a row; ^name reaches what holds it
    owner: Annotated[Owner, ShortForm(_owner, (TEXT,))] | None = None  # the record of the same row that this hangs on
    whole: bool = False  # children: what the owner's rows no longer name is absent
    match: tuple[AnyMatchRule, ...] = ()  # how a new key finds a record that is there already; the first hit wins
    on_match: Literal["update", "keep", "review"] = "update"  # then: update it, link it only, or ask a person
    create: bool = True  # false: rows without a record are parked until one exists
    scope: dict[str, Names] = Field(default={})  # only records with these values are candidates of `match`
    defaults: dict[str, Any] = Field(default={})  # values of a new record, where the row says nothing
    absent: Absence = "ignore"  # what a full read no longer has
    fields: dict[str, AnyFieldMap] = Field(default={})  # CRM field to where its value comes from
    expect: tuple[dict[str, dict[str, Any]], ...] = ()  # Great Expectations, by their own names, on the decoded fields

    @property
    def label(self) -> str:
        return self.name or self.entity

    @property
    def key(self) -> Columns:
        """The columns of the key."""
        return self.keyed.from_

    @property
    def depth(self) -> int:
        """How many things may hold an element of `each`, up to the row: one for each list on the way, at most."""
        return sum(not step.isdigit() for step in self.each.split(".")) if self.each else 0

    @property
    def absence(self) -> Absence:
        """What happens to what is absent: children given `whole` are archived unless the mapping says otherwise."""
        return "archive" if self.whole and self.absent == "ignore" else self.absent


def _percent(value: Any) -> Any:
    if isinstance(value, str) and value.strip().endswith("%"):
        try:
            return float(value.strip()[:-1]) / 100
        except ValueError:
            return value
    return value


Share = Annotated[
    float,
    Field(ge=0, le=1),
    NUMBER,
    ShortForm(_percent, ({"type": "string", "pattern": r"^\d+([.]\d+)?%$"},)),
    Expected("a share such as 5% or 0.05"),
]
"""`5%` or 0.05."""


class Guard(Strict):
    """Beyond these shares the run changes nothing and waits in review; null switches one off."""

    rejects: Share | None = 0.50  # rows refused, of the rows read
    creates: Share | None = None  # new records, of the entries the flow had before
    updates: Share | None = None  # changed records, of the entries the flow had before
    archives: Share | None = 0.20  # records archived or unlinked, of the entries the flow had before


SCHEDULED = ("changes", "full")
"""The kinds of reading that a flow can be scheduled for."""


class Schedule(Strict):
    """When the flow runs by itself; `schedule: "0 6 * * *"` is short for `{changes: "0 6 * * *"}`."""

    expected: ClassVar[str] = 'a cron line such as "0 6 * * 1-5", or {changes: …, full: …}'

    changes: str | None = None  # cron: read what is new
    full: str | None = None  # cron: read everything
    # small changes at once; true, or {poll: 2s} for how often the system is asked
    live: Annotated[Live | None, ShortForm(live_form, ({"type": "boolean"},))] = None
    timezone: str = "Europe/Paris"  # of the cron lines; an IANA name

    @property
    def lines(self) -> dict[str, str]:
        """The cron line of each kind of SCHEDULED that is declared. What check refuses is left out: such a flow does
        not run, and whoever looks at the others is not to stumble over it."""
        said = {kind: getattr(self, kind) for kind in SCHEDULED}
        fine = zone_problem(self.timezone) is None
        return {kind: line for kind, line in said.items() if fine and line is not None and cron_problem(line) is None}


def _schedule(value: Any) -> Any:
    return {"changes": value} if isinstance(value, str) else value


class Flow(Strict):
    """One mapping file, after `like` was laid under it."""

    flow: str  # its name, once in the project
    like: str | None = None  # another flow: what is not said here is as there
    abstract: bool = False  # only a model for others: never run, and may be incomplete
    system: str  # where the rows come from: a name of systems.yaml
    direction: Direction = "in"  # in: read; out: write; two-way: both
    description: str = ""  # one line for people
    after: Names = ()  # flows that fill what this one refers to; default: found from `refers`
    read: Read = Read()  # which files, their form, their order and completeness
    into: Annotated[tuple[Into, ...], OneOrMore, Field(min_length=1)]  # the entities that the rows go into
    write: Write = Write()  # the way back: which records are sent, and how
    guard: Guard = Guard()  # beyond these shares nothing is changed and a person is asked
    schedule: Annotated[Schedule, ShortForm(_schedule, (TEXT,))] | None = None  # when it runs by itself

    @model_validator(mode="after")
    def _derived(self) -> Self:
        if not self.read.derive:
            return self
        derived = derived_columns(self.read.derive)
        return self.model_copy(update={"into": tuple(with_derived(into, derived) for into in self.into)})

    def list_column(self, into: Into) -> str | None:
        """The column that holds the lists of `each`: where another into takes a list on the way to them, that one."""
        asked = [other.each for other in self.into if other.each and f"{into.each}.".startswith(f"{other.each}.")]
        return min(asked, key=len) if asked and into.each else None

    def space_of(self, into: Into) -> str:
        """The id space of an into of this flow: as declared, else the flow, with the label from the second on."""
        first = next(other for other in self.into if other.entity == into.entity)
        return into.ids or (self.flow if first.label == into.label else f"{self.flow}.{into.label}")


__all__ = ["Column", "Flow", "Guard", "Into", "Key", "Live", "MatchRule", "Owner", "Schedule", "Write"]
