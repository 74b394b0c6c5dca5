"""The values of a change as Tryton takes them: typed, links looked up by what they are called, sets as differences."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from connectors.remote import Key
from connectors.tryton.cells import cells_of
from connectors.tryton.mechanisms import COLUMN, Mechanisms
from connectors.tryton.model import MANY, ONE, VERSION, Column, Model, Models
from connectors.tryton.numbers import Numbers
from connectors.tryton.query import SOME, Domain, Query
from connectors.tryton.session import Session
from connectors.tryton.values import BadCell, id_list, is_id, wire_value
from connectors.tryton.words import Words
from mappings.errors import ConfigurationError

REMEMBERED = 10_000


@dataclass
class Encoder:
    """For one model. `looked_up`: ids of linked records by (model, field, text), since codes hardly ever move;
    `linked`: by (column, id), the sets of links of the records of this batch."""

    session: Session
    models: Models
    model: Model
    looked_up: dict[tuple[str, str, str], int] = field(default_factory=dict)
    linked: dict[tuple[str, int], list[int]] = field(default_factory=dict)
    mechanisms: Mechanisms = field(init=False)
    words: Words = field(init=False)
    numbers: Numbers = field(init=False)

    def __post_init__(self) -> None:
        self.mechanisms = Mechanisms(self.session)
        self.words = Words(self.session)
        self.numbers = Numbers(self.words, self.model.name)

    def check(self, names: Iterable[str]) -> None:
        """Raises ConfigurationError for a column that cannot be written."""
        for name in names:
            column = self.models.column(self.model, name)
            if name in {VERSION, "id"}:
                raise ConfigurationError(f"{self.model.name}: {name!r} is Tryton's own and cannot be written",
                                         where=self.session.wire.url)
            if len(column.path) > 2 or (len(column.path) == 2 and column.path[0].type not in ONE):
                raise ConfigurationError(f"{self.model.name}: {name!r} can only be read", where=self.session.wire.url,
                                         todo="Write the link itself, or `link.field` over one link.")

    def values(self, cells: Mapping[str, str], number: int, expected: Mapping[str, str]) -> dict[str, Any]:
        """For the record `number` (0: a new one). `expected`: the cells that these take the place of, where they are
        known. Raises BadCell, Moved."""
        reached = {name: text for name, text in cells.items() if self._reaches(name)}
        values = {name.split(".")[0]: self._value(self.models.column(self.model, name), text, number)
                  for name, text in cells.items() if name not in reached}
        if changes := self.mechanisms.changes(reached, number, expected):
            values[COLUMN] = [*values.get(COLUMN, []), *changes]
        return values

    def _reaches(self, name: str) -> bool:
        return "." not in name and self.models.column(self.model, name).reaches(self.model.name)

    def _value(self, column: Column, text: str, number: int) -> Any:
        try:
            if len(column.path) == 2:
                return self._link(column, text)
            if column.type in MANY:
                return self._set(column, id_list(text), number)
            return wire_value(column.type, text)
        except BadCell as bad:
            raise BadCell(f"{column.name}: {bad}") from None

    def _link(self, column: Column, text: str) -> int | None:
        """The id of the record that `link.field` calls by this text."""
        if text == "":
            return None
        link, called = column.path
        assert link.relation is not None
        key = (link.relation, called.name, text)
        if key not in self.looked_up:
            target = Column(called.name, (called,))
            rows = Query(self.session, link.relation, (target,)).rows(equals(target, wire_value(called.type, text)), 20)
            same = [row for row, cell in zip(rows, cells_of(target, rows), strict=True) if cell == text]
            if len(same) != 1:
                raise BadCell(f"{len(same) or 'no'} {link.relation} with {called.name} {text[:60]!r}")
            if len(self.looked_up) >= REMEMBERED:
                self.looked_up.clear()
            self.looked_up[key] = same[0]["id"]
        return self.looked_up[key]

    def prepare(self, names: Iterable[str], ids: Iterable[int]) -> None:
        """Reads the sets of links that are about to be changed: Tryton takes differences."""
        self.linked.clear()
        names, ids = list(dict.fromkeys(names)), list(dict.fromkeys(ids))
        self.mechanisms.prepare((name for name in names if self._reaches(name)), ids)
        columns = tuple(column for name in names if (column := self.models.column(self.model, name)).type in MANY)
        numbers = ids if columns else []
        for at in range(0, len(numbers), SOME):
            for batch in Query(self.session, self.model.name, columns).by_id(
                    [["id", "in", numbers[at : at + SOME]]], SOME):
                self.linked.update({(column.name, row["id"]): row[column.name] for row in batch for column in columns})

    def forget(self) -> None:
        self.looked_up.clear()

    def _set(self, column: Column, wanted: list[int], number: int) -> list[Any]:
        """What makes the set of links what it is to be; nothing that was linked is deleted."""
        linked = self.linked.get((column.name, number), [])
        less, more = [one for one in linked if one not in wanted], [one for one in wanted if one not in linked]
        return [[verb, ids] for verb, ids in (("remove", less), ("add", more)) if ids]

    def ids_of(self, query: Query, keys: Sequence[Key]) -> dict[Key, list[int]]:
        """The ids of the rows with these keys; a key that is an id stands for itself, whether there is a row or not."""
        if [column.name for column in query.columns] == ["id"]:
            return {key: [int(key[0])] for key in keys if is_id(key[0])}
        found: dict[Key, list[int]] = {}
        for at in range(0, len(keys), SOME):
            domain = keys_domain(query.columns, keys[at : at + SOME])
            for batch in query.by_id(domain, SOME):
                cells = [cells_of(column, batch) for column in query.columns]
                for row, *key in zip(batch, *cells, strict=True):
                    found.setdefault(tuple(key), []).append(row["id"])
        return found


def keys_domain(columns: Sequence[Column], keys: Sequence[Key]) -> Domain:
    """The rows with these keys; what is no value of its column (letters for a number) has no row."""
    typed = []
    for key in keys:
        try:
            typed.append([wire_value(column.type, text) for column, text in zip(columns, key, strict=True)])
        except BadCell:
            continue
    if len(columns) == 1:
        return [[columns[0].name, "in", [values[0] for values in typed]]]
    if not typed:
        return [["id", "=", -1]]
    return ["OR", *([equals(column, value) for column, value in zip(columns, values, strict=True)] for values in typed)]


def equals(column: Column, value: Any) -> Domain:
    """The rows whose column has this value; null is also where a link on the way leads nowhere."""
    steps = [".".join(field.name for field in column.path[:end]) for end in range(1, len(column.path))]
    missing = [[step, "=", None] for step in steps] if value is None else []
    return ["OR", [column.name, "=", value], *missing]
