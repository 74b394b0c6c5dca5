"""What requests say and answers hold of one entity's records, as models made from its declaration.

::

    Entity ─┬─▶ Made     POST: what a new record needs and may have          names and types are those of the tables:
            ├─▶ Changed  PATCH: any of it; null clears                        money is NAME and NAME_currency
            ├─▶ Asked    the query of a search: NAME=…, NAME.prefix=…
            └─▶ Shown    a whole record

A model's own names have a prefix, and requests use the alias: a field may be called what pydantic calls a method.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, Strict, create_model

from crm_store.entity_tables import DIGITS
from mappings.language.entities import SECOND_COLUMN, Entity
from mappings.language.entity import FieldSpec
from mappings.words import FieldType

OWN = "of_"
AFTER, LIMIT, ARCHIVED, PREFIX = "page.after", "page.limit", "archived", ".prefix"
MOST, USUAL = 500, 50
BIGGEST = 2**63 - 1
_TEXT = r"^[^\u0000]*$"  # PostgreSQL keeps no NUL
_SAID = r"^\s*[^\s\u0000][^\u0000]*$"
"""Of a required field: blanks are no value."""
_NUMBER = re.compile(r"-?[0-9]{1,40}(\.[0-9]{1,40})?", re.ASCII)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_TIME = re.compile(r"[1-9][0-9]{3}-[0-9]{2}-[0-9]{2}[Tt][0-9:]{8}(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})", re.ASCII)
_INTEGER = re.compile(r"-?[0-9]{1,19}", re.ASCII)


def _written(form: re.Pattern[str], what: str, also: tuple[type, ...] = ()) -> BeforeValidator:
    """Only text of this form, or a value of these types: pydantic alone would take `1` for a day, and true for 1."""

    def look(value: Any) -> Any:
        if isinstance(value, str) and form.fullmatch(value):
            return value
        if isinstance(value, also) and not isinstance(value, bool):
            return value
        raise ValueError(f"expected {what}")

    return BeforeValidator(look)


Identity = Annotated[int, Field(ge=1, le=BIGGEST)]
Day = Annotated[date, _written(_DATE, "a date such as 2026-11-22")]
Moment = Annotated[AwareDatetime, _written(_TIME, "a time with its offset, such as 2026-11-22T09:30:00Z")]
Asking = Annotated[int, _written(_INTEGER, "a whole number")]
Asked = Annotated[Asking, Field(ge=1, le=BIGGEST)]
"""An id that stands in an address."""


@dataclass(frozen=True)
class RecordModels:
    """The models of one entity."""

    made: type[BaseModel]
    changed: type[BaseModel]
    asked: type[BaseModel]
    shown: type[BaseModel]
    page: type[BaseModel]


def record_models(entity: Entity) -> RecordModels:
    """Pure: from the declaration alone."""
    title = "".join(part.capitalize() for part in entity.name.split("_"))
    columns = list(_columns(entity))
    made = {column.name: (column.taken, _field(column, required=column.required)) for column in columns}
    changed = {column.name: (column.taken, _field(column, required=False)) for column in columns}
    changed[ARCHIVED] = (Annotated[bool, Strict()], Field(default_factory=lambda: None, alias=ARCHIVED,
                                                          description="true archives the record, false brings it back"))
    shown: dict[str, Any] = {
        "id": (int, Field(alias="id")), "version": (int, Field(alias="version", description="its ETag")),
        **{column.name: (column.shown, Field(alias=column.name, description=column.label)) for column in columns},
        "archived_at": (datetime | None, Field(alias="archived_at")),
        "created_at": (datetime, Field(alias="created_at")), "updated_at": (datetime, Field(alias="updated_at")),
    }
    whole = _model(f"{title}", shown)
    page = create_model(f"{title}Page", items=(list[whole], ...), next=(  # type: ignore[valid-type]
        str | None, Field(description="where the next page is; null behind the last")))
    return RecordModels(_model(f"{title}Made", made), _model(f"{title}Changed", changed),
                        _model(f"{title}Asked", _asked(columns)), whole, page)


@dataclass(frozen=True)
class _Column:
    """One column of the table: what requests may say, what answers hold, what a search may ask (None: nothing)."""

    name: str
    label: str
    taken: Any
    shown: Any
    asked: Any
    required: bool = False
    is_text: bool = False


def _columns(entity: Entity) -> Iterator[_Column]:
    kind = FieldSpec(type="choice", values=entity.types, required=True) if entity.types else FieldSpec()
    family = FieldSpec(type="choice", values=entity.families) if entity.families else FieldSpec()
    yield _column("type", kind, defaulted=bool(entity.types))
    yield _column("family", family)
    for name, spec in entity.fields.items():
        yield _column(name, spec)
        if spec.type in SECOND_COLUMN:
            needed = "an amount needs it" if spec.type == "money" else ""
            yield _column(f"{name}_{SECOND_COLUMN[spec.type]}", FieldSpec(label=needed))


def _column(name: str, spec: FieldSpec, *, defaulted: bool = False) -> _Column:
    taken, shown, asked = _types(spec)
    nothing = None if spec.required else type(None)
    return _Column(
        name, spec.label, taken if nothing is None else taken | None, shown if nothing is None else shown | None,
        asked, required=spec.required and not defaulted, is_text=asked is _ASKED_TEXT,
    )


_ASKED_TEXT = Annotated[str, Field(pattern=_TEXT)]
_Link = Annotated[Identity, Strict()]


def _types(spec: FieldSpec) -> tuple[Any, Any, Any]:
    """What is taken, shown, and asked for."""
    plain: dict[FieldType, tuple[Any, Any, Any]] = {
        "number": (Annotated[int, Strict(), Field(ge=-BIGGEST - 1, le=BIGGEST)], int,
                   Annotated[Asking, Field(ge=-BIGGEST - 1, le=BIGGEST)]),
        "link": (_Link, int, Asked),
        "links": (list[_Link], list[int], Asked),
        "boolean": (Annotated[bool, Strict()], bool, Literal["true", "false"]),
        "date": (Day, date, Day),
        "datetime": (Moment, datetime, Moment),
    }
    if spec.type in plain:
        return plain[spec.type]
    if spec.type in ("choice", "choices"):
        word: Any = Literal.__getitem__(spec.values)
        several = list[word]
        return (word, word, word) if spec.type == "choice" else (several, several, word)
    if spec.type in ("decimal", "money", "quantity"):
        exact = Annotated[Decimal, Field(max_digits=DIGITS, decimal_places=spec.scale),
                          _written(_NUMBER, "a number, or text that is one", (int, float, Decimal))]
        return exact, Decimal, exact
    form = _SAID if spec.required else _TEXT
    return Annotated[str, Strict(), Field(pattern=form, max_length=spec.max)], str, _ASKED_TEXT


def _field(column: _Column, *, required: bool) -> Any:
    """What is not said has no default in the document: it is left as it is, or as the table has it."""
    if required:
        return Field(alias=column.name, description=column.label or None)
    return Field(default_factory=lambda: None, alias=column.name, description=column.label or None)


def _asked(columns: list[_Column]) -> dict[str, Any]:
    fields: dict[str, Any] = {
        AFTER: (Annotated[Asking, Field(ge=0, le=BIGGEST)],
                Field(default=0, alias=AFTER, description="an id: what follows it")),
        LIMIT: (Annotated[Asking, Field(ge=1, le=MOST)],
                Field(default=USUAL, alias=LIMIT, description="records of a page")),
        ARCHIVED: (Literal["true", "false", "any"], Field(default="false", alias=ARCHIVED)),
    }
    for column in columns:
        fields[column.name] = (column.asked, Field(default_factory=lambda: None, alias=column.name))
        if column.is_text:
            name = column.name + PREFIX
            fields[name] = (_ASKED_TEXT, Field(default_factory=lambda: None, alias=name, description="begins with"))
    return fields


def _model(title: str, fields: dict[str, Any]) -> type[BaseModel]:
    """Own names cannot be those of pydantic; dots are none of Python's."""
    own = {OWN + name.replace(".", "__"): field for name, field in fields.items()}
    made: type[BaseModel] = create_model(title, __config__=ConfigDict(extra="forbid"), **own)
    return made
