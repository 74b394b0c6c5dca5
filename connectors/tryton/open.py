"""The port `Remote` filled by Tryton's JSON-RPC: a resource is a model, its key usually `id`.

Columns are fields of the model, paths along its links (`country.code`, `party.code`), and `_timestamp`, the version.
Writing to `link.field` looks the linked record up. Children that have no stamp of their parent's (addresses, contact
mechanisms, identifiers, lines) are resources of their own.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import islice
from typing import Any

from connectors.page import Page
from connectors.remote import Capabilities, Change, Key, Known, Position, Receipt, RemoteSource, Resource
from connectors.tryton.cells import page_of
from connectors.tryton.deleted import Deletions
from connectors.tryton.encode import Encoder, equals, keys_domain
from connectors.tryton.model import MANY, TEMPLATE, VERSION, Column, Models
from connectors.tryton.query import SOME, Query, Row
from connectors.tryton.reading import CREATOR, STAMPS, WRITTEN, TrytonSource, states_of
from connectors.tryton.session import Session
from connectors.tryton.settings import TrytonSettings
from connectors.tryton.values import BadCell, is_id, wire_value
from connectors.tryton.writers import saved_by_others
from connectors.tryton.writing import ACTIVE, Writer
from mappings.errors import ConfigurationError

UNSEARCHED = {"binary", "version", "dict", "multiselection", "one2many", "many2many"}


class TrytonRemote:
    """A session with one Tryton; see connectors.remote.Remote for what its methods promise."""

    def __init__(self, settings: TrytonSettings) -> None:
        self.settings = settings
        self.session = Session(settings)
        self.models = Models(self.session)
        self.deletions = Deletions(self.session)
        self._encoders: dict[str, Encoder] = {}

    def capabilities(self, resource: Resource) -> Capabilities:
        query = self._query(resource)
        return Capabilities(
            create=True, update=True, archive=ACTIVE in self.models.get(query.model).fields, delete=True,
            batch=self.settings.batch, whole_batch=True, versions=True,
            beside=frozenset(column.name for column in query.columns if not self._stands_in(query.model, column)),
        )

    def read(self, resource: Resource, since: Position | None, known: Known | None = None) -> RemoteSource:
        query = self._query(resource)
        stamp = self.models.column(self.models.get(query.model), resource.changed or WRITTEN)
        if stamp.type not in {"timestamp", "datetime"} or len(stamp.path) > 1:
            raise ConfigurationError(f"{query.model}.{stamp.name} is no time of change but {stamp.type}",
                                     where=self.session.wire.url, todo="Leave `changed_since` out: Tryton has its own.")
        return TrytonSource(query, resource, since, self.deletions, self.settings.page, known)

    def fetch(self, resource: Resource, keys: Sequence[Key]) -> Page:
        query = self._query(resource)
        by = self._columns(resource, resource.key)
        rows: list[Row] = []
        for at in range(0, len(keys), SOME):
            some = keys[at : at + SOME]
            if resource.key == ("id",) and all(is_id(key[0]) for key in some):
                rows += query.of_ids([int(key[0]) for key in some], STAMPS)
                continue
            for batch in query.by_id(keys_domain(by, some), min(SOME, self.settings.page), STAMPS):
                rows += batch
        return page_of(rows, query.columns, states=states_of(rows))

    def find(self, resource: Resource, where: Mapping[str, str], limit: int = 20) -> Page:
        query = self._query(resource)
        by = self._columns(resource, tuple(where))
        for column in by:
            if column.type in UNSEARCHED or any(link.type in MANY for link in column.path):
                raise ConfigurationError(f"{query.model} cannot be searched by {column.name!r}, a {column.type}",
                                         where=self.session.wire.url)
        try:
            values = [wire_value(column.type, where[column.name]) for column in by]
        except BadCell:  # what is no value of the column stands in no row
            return page_of([], query.columns)
        domain = [equals(column, value) for column, value in zip(by, values, strict=True)]
        both = Query(self.session, query.model, tuple(dict.fromkeys([*query.columns, *by])))
        batches = both.by_id(domain, min(SOME, self.settings.page))
        found = (row for batch in batches for row in _exactly(batch, by, values))
        return page_of(list(islice(found, limit)), query.columns)

    def write(self, resource: Resource, changes: Sequence[Change]) -> list[Receipt]:
        query = self._query(resource)
        encoder = self._encoder(query.model)
        encoder.check(dict.fromkeys(name for change in changes for name in change.values))
        if resource.reference:
            encoder.check((resource.reference,))
        if any(change.operation == "archive" or change.back for change in changes):
            encoder.check((ACTIVE,))
        if len(changes) > self.settings.batch:
            raise ValueError(f"{len(changes)} changes in one call, which takes {self.settings.batch}")
        key = Query(self.session, query.model, self._columns(resource, resource.key))
        return Writer(self.session, key, encoder).write(resource, changes)

    def edited(self, resource: Resource, keys: Sequence[Key]) -> Collection[Key]:
        query = self._query(resource)
        key = Query(self.session, query.model, self._columns(resource, resource.key))
        ids = self._encoder(query.model).ids_of(key, keys)
        kinds = [column.name for column in query.columns if len(column.path) == 1 and column.reaches(query.model)]
        others = saved_by_others(self.session, query.model, [one for found in ids.values() for one in found], kinds)
        return [key for key, found in ids.items() if not others.isdisjoint(found)]

    def made_by_us(self, resource: Resource, keys: Sequence[Key]) -> Collection[Key] | None:
        if resource.key != ("id",) or not all(is_id(key[0]) for key in keys):
            return None
        rows = Query(self.session, resource.name, ()).of_ids([int(key[0]) for key in keys], ("id", CREATOR))
        return {(str(row["id"]),) for row in rows if row[CREATOR] == self.session.user}

    @property
    def writes_as(self) -> object:
        return None

    def changes(self, resource: Resource, timeout: float) -> Iterator[object]:  # noqa: ARG002 -- the port's names
        raise ConfigurationError("Tryton does not say when something changed", where=self.session.wire.url,
                                 todo="Poll it: live: {poll: 2s}.")

    def close(self) -> None:
        self.session.close()

    def _stands_in(self, name: str, column: Column) -> bool:
        """Whether the model's own table has the column, so that no change of it leaves the row's stamp as it was.

        A computed field cannot be sorted by or only be read; one that a variant has of its template can be both.
        """
        field, model = column.path[0], self.models.get(name)
        if len(column.path) > 1 or column.reaches(name) or field.is_computed:
            return False
        template = model.fields.get(TEMPLATE)
        return template is None or template.relation is None or (
            column.name not in self.models.get(template.relation).fields)

    def _query(self, resource: Resource) -> Query:
        """Raises ConfigurationError for whatever the resource names that is not there."""
        if resource.query is not None:
            raise ConfigurationError(f"{resource.name}: Tryton takes no query", where=self.session.wire.url,
                                     todo="Name a model and its columns.")
        if resource.version not in {None, VERSION}:
            raise ConfigurationError(f"{resource.name}: {resource.version!r} is not the version of a row",
                                     where=self.session.wire.url, todo=f"version: {VERSION}")
        extra = [name for name in (resource.version, resource.changed) if name]
        columns = self._columns(resource, tuple(dict.fromkeys([*resource.columns, *resource.key, *extra])))
        if resource.reference:
            self._columns(resource, (resource.reference,))
        return Query(self.session, resource.name, columns)

    def _columns(self, resource: Resource, names: Sequence[str]) -> tuple[Column, ...]:
        model = self.models.get(resource.name)
        return tuple(self.models.column(model, name) for name in names)

    def _encoder(self, model: str) -> Encoder:
        if model not in self._encoders:
            self._encoders[model] = Encoder(self.session, self.models, self.models.get(model))
        return self._encoders[model]


def _exactly(rows: list[Row], by: Sequence[Column], values: Sequence[Any]) -> list[Row]:
    """Without what a computed field's own search finds beyond: other case, parts of words."""
    met = [[_comparable(column, told) == _comparable(column, value) for told in column.of(rows)]
           for column, value in zip(by, values, strict=True)]
    return [row for row, *all_met in zip(rows, *met, strict=True) if all(all_met)]


def _comparable(column: Column, value: Any) -> Any:
    """1.50 and 1.5 are one number; 1 is true where the column is a boolean."""
    if column.type == "boolean" and value is not None:
        return bool(value)
    return Decimal(value["decimal"]) if isinstance(value, dict) and "decimal" in value else value


def open_tryton(settings: TrytonSettings) -> TrytonRemote:
    """Logs in with the first call."""
    return TrytonRemote(settings)
