"""One line under `fields:`: where the value comes from, what it is, what happens to blanks and codes."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field
from pydantic import Strict as Exactly
from pydantic_core import PydanticCustomError

from mappings.codecs.formula import formula
from mappings.errors import ConfigurationError
from mappings.language.strict import NUMBER, TEXT, Column, OneOrMore, ShortForm, Strict
from mappings.language.text import Text, from_only

SOURCES = (*Text.sources, "compute")


class Part(Strict):
    """The second half of money (currency) or quantity (unit): from a column, or the same for all rows."""

    expected: ClassVar[str] = "a word for all rows such as EUR, or {from: COLUMN}"

    from_: Annotated[Column | None, Field(alias="from")] = None  # the column it stands in
    blank: str | None = None  # what an empty cell means


def _part(value: Any) -> Any:
    return {"blank": value} if isinstance(value, str) else value


AnyPart = Annotated[Part, ShortForm(_part, (TEXT,))]
"""`currency: EUR` for all rows, or `currency: {from: DEVISE, blank: EUR}`."""


class Refers(Strict):
    """A link found through another record's external id, or through one of its fields.

    Either `in`/`ids` (the crosswalk of that system and id space; default: this flow's system, and the space that the
    flow filling this entity there uses) or `by` (a field of the entity, compared normalised; must hit exactly one).
    """

    expected: ClassVar[str] = "an entity, or {entity: …} with `in`, `ids` or `by`"

    entity: str  # the entity that the link leads to
    in_: Annotated[str | None, Field(alias="in")] = None  # the system whose id it is; default: this flow's system
    ids: str | None = None  # the id space; default: every one that flows of that system fill
    by: str | None = None  # look in the CRM instead, for the one record with this value in that field
    else_: Annotated[Literal["park", "blank", "reject"], Field(alias="else")] = "park"  # nothing found: what then


def _refers(value: Any) -> Any:
    return {"entity": value} if isinstance(value, str) else value


class Out(Strict):
    """How a field is written, where that is not the reverse of how it is read."""

    expected: ClassVar[str] = "false, or {to: COLUMN} with `values` and `format`"

    to: Column  # the column that is written
    values: dict[str, str] | None = None  # {crm: raw}
    format: str | None = None  # date, datetime: the strftime form


def _formula(value: str) -> str:
    try:
        formula(value)
    except ConfigurationError as error:
        raise PydanticCustomError("said", "{told}", {"told": error.message}) from error
    return value


class FieldMap(Text):
    """How one CRM field is read. Exactly one source: from, first, join, constant or compute."""

    expected: ClassVar[str] = "a column, or where the value comes from: {from: COLUMN}"
    sources: ClassVar[tuple[str, ...]] = SOURCES

    compute: Annotated[str, AfterValidator(_formula)] | None = None  # over columns: QTY * PRICE * (1 - DISCOUNT / 100)
    # the codec, and what it needs
    as_: Annotated[str | None, Field(alias="as")] = None  # the codec; default: by the field's type and format
    format: Annotated[tuple[str, ...], OneOrMore] | None = None  # date, datetime: strptime, iso, epoch, …
    century: Literal["past"] | None = None  # what two digits of a year (%y) put after today is a hundred years earlier
    decimal: Literal[".", ","] | None = None  # decimal sign; default: the file's, else both are told apart
    # digits after the point in a number written without one: 000034501668 with 2
    scale: Annotated[int, Field(ge=0, le=30), NUMBER] | None = None
    round: bool = False  # more digits than the field keeps: round half up instead of rejecting
    # phone, postal_code, vat: ISO country of numbers without prefix; FR for all rows, or {from: PAYS, blank: FR}
    region: Annotated[str | Part | None, Field(union_mode="left_to_right")] = None
    timezone: str | None = None  # datetime without offset: IANA name; default UTC
    currency: AnyPart | None = None  # money: EUR for all rows, or {from: DEVISE, blank: EUR}
    unit: AnyPart | None = None  # quantity: h for all rows, or {from: UNITE, blank: h}
    true: Annotated[tuple[str, ...], OneOrMore] | None = None  # boolean: words for true, beside the usual ones
    false: Annotated[tuple[str, ...], OneOrMore] | None = None  # boolean: words for false, beside the usual ones
    pattern: str | None = None  # a regular expression the raw text must match whole
    values: Annotated[dict[str, Any] | str | None, Field(union_mode="left_to_right")] = None  # {raw: crm} or "@codes"
    # a code outside `values`: refuse the row, clear the field, say nothing on it, or take the code itself as the value
    else_: Annotated[Literal["reject", "blank", "keep", "raw"] | None, Field(alias="else")] = None
    # links
    refers: Annotated[Refers, ShortForm(_refers, (TEXT,))] | None = None  # link: whose id it is, or a field to look by
    many: bool = False  # links: the cell holds several keys (see split)
    # the way back: false: only read; or how to write what cannot be written as it was read
    out: Annotated[bool, Exactly()] | Out = True
    # rules
    required: bool = False  # a row without it is refused
    invalid: Literal["reject", "as_is"] = "reject"  # as_is: text that the codec refuses is kept as it stands
    blank: Any = None  # keep: an empty cell says nothing; any other value: what an empty cell means; default: cleared
    default: Any = None  # the value when a record is created and the cell is empty

    @property
    def keeps_blank(self) -> bool:
        return bool(self.blank == "keep")


AnyFieldMap = Annotated[FieldMap, ShortForm(from_only, ({"type": ["string", "integer", "null"]},))]
"""`name: CT_INTITULE` is short for `name: {from: CT_INTITULE}`."""
