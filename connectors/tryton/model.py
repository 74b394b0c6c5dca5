"""A model of Tryton and its columns: what there is, of which type, and which links a dotted path follows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from connectors.tryton.answer import Refused
from connectors.tryton.session import Session
from mappings.errors import ConfigurationError
from mappings.language.words import did_you_mean

VERSION = "_timestamp"
TEMPLATE = "template"
ONE = ("many2one", "one2one")
MANY = ("one2many", "many2many")
PARTY = "party.party"
REACHED = ("phone", "mobile", "fax", "email", "website")
"""Columns of a party that stand for its first contact mechanism of that type."""


@dataclass(frozen=True)
class Field:
    """A field: its type in Tryton's words, the model that it links to, and whether it may be computed."""

    name: str
    type: str
    relation: str | None = None
    is_computed: bool = False


@dataclass(frozen=True)
class Column:
    """A column as a mapping names it: `name`, `code`, or a path along links (`country.code`, `siren.code`).

    `path`: the fields that it passes, the last with the value.
    """

    name: str
    path: tuple[Field, ...]

    @property
    def type(self) -> str:
        return self.path[-1].type

    def reaches(self, model: str) -> bool:
        """Whether it stands for a contact mechanism of a party; `model` is where the path begins."""
        owner = model if len(self.path) == 1 else self.path[-2].relation
        return owner == PARTY and self.name.rpartition(".")[2] in REACHED

    def of(self, rows: Iterable[dict[str, Any]]) -> list[Any]:
        """The values as they stand in rows of `read`, which nests the rows behind a link under `link.`"""
        return [self._along(row, 0) for row in rows]

    def _along(self, row: Any, step: int) -> Any:
        if row is None:
            return None
        if isinstance(row, list):
            return [self._along(one, step) for one in row]
        if step == len(self.path) - 1:
            return row[self.path[-1].name]
        return self._along(row[f"{self.path[step].name}."], step + 1)


@dataclass(frozen=True)
class Model:
    name: str
    fields: dict[str, Field]


class Models:
    """Models by name, asked for once in a session."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._known: dict[str, Model] = {}

    def get(self, name: str) -> Model:
        """Raises ConfigurationError for a model that there is not, or that may not be read."""
        if name not in self._known:
            self._known[name] = Model(name, self._fields(name))
        return self._known[name]

    def _fields(self, name: str) -> dict[str, Field]:
        try:
            told = self._session.read(f"model.{name}.fields_get", [])
        except Refused as refused:
            names = sorted(set(self._names()))
            if name not in names:
                raise ConfigurationError(f"there is no resource {name!r}{did_you_mean(name, names)}",
                                         where=self._session.wire.url) from None
            raise ConfigurationError(f"the resource {name!r} cannot be read: {refused.message}",
                                     where=self._session.wire.url, todo="Which rights has the user?") from None
        return {key: Field(key, spec["type"], spec.get("relation"),
                           is_computed=not spec.get("sortable") or bool(spec.get("readonly")))
                for key, spec in told.items()}

    def _names(self) -> Iterator[str]:
        for method in self._session.read("system.listMethods"):
            kind, _, rest = method.partition(".")
            name, _, verb = rest.rpartition(".")
            if kind == "model" and verb == "search_read":
                yield name

    def column(self, model: Model, name: str) -> Column:
        """Raises ConfigurationError for a column that there is not, with the nearest word."""
        if name == VERSION:
            return Column(name, (Field(VERSION, "version"),))
        *links, last = name.split(".")
        path: list[Field] = []
        for link in links:
            field = self._field(model, link, name)
            if field.relation is None:
                raise ConfigurationError(f"{model.name} has no column {name!r}: {link!r} is no link to follow",
                                         where=self._session.wire.url)
            path.append(field)
            model = self.get(field.relation)
        return Column(name, (*path, self._field(model, last, name)))

    def _field(self, model: Model, name: str, column: str) -> Field:
        if name not in model.fields:
            inside = "" if name == column else f" (in {column!r})"
            raise ConfigurationError(
                f"{model.name} has no column {name!r}{inside}{did_you_mean(name, model.fields)}",
                where=self._session.wire.url,
            )
        return model.fields[name]
