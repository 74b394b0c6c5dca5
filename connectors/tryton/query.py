"""Searches that read: every row that meets a condition, archived ones too, in batches that follow an order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from connectors.tryton.answer import Refused
from connectors.tryton.model import Column
from connectors.tryton.session import Session
from connectors.tryton.wire import AnswerTooLarge
from mappings.errors import ConfigurationError

Domain = list[Any]
Row = dict[str, Any]
EVERYTHING = {"active_test": False}
SOME = 1000
"""Ids or keys in one condition."""


@dataclass(frozen=True)
class Query:
    """Reads `columns` of one model."""

    session: Session
    model: str
    columns: tuple[Column, ...]

    def rows(self, domain: Domain, limit: int, order: Sequence[str] = ("id",), extra: Sequence[str] = ()) -> list[Row]:
        """At most `limit` rows, ascending; a `-` before a name: descending. `extra`: fields to read besides."""
        names = list(dict.fromkeys([*(column.name for column in self.columns), *extra]))
        sort = [[name.lstrip("-"), "DESC" if name.startswith("-") else "ASC"] for name in order]
        try:
            if any(column.reaches(self.model) for column in self.columns):
                return self._shown(domain, limit, sort, names)
            told = self.session.read(
                f"model.{self.model}.search_read", domain, 0, limit, sort, names, context=EVERYTHING
            )
        except Refused as refused:
            raise ConfigurationError(f"{self.model} cannot be read: {refused.message}", where=self.session.wire.url,
                                     todo="Which rights has the user, and can every column be read?") from None
        return list(told)

    def _shown(self, domain: Domain, limit: int, sort: list[list[str]], names: list[str]) -> list[Row]:
        """Archived rows too, but not their archived phones and e-mails, which one context brings together."""
        ids = self.session.read(f"model.{self.model}.search", domain, 0, limit, sort, context=EVERYTHING)
        try:
            rows = self.session.read(f"model.{self.model}.read", ids, names)
        except Refused:  # one of them may have been deleted since
            there = set(self.session.read(f"model.{self.model}.search", [["id", "in", ids]], 0, None, None,
                                          context=EVERYTHING))
            ids = [number for number in ids if number in there]
            rows = self.session.read(f"model.{self.model}.read", ids, names)
        place = {number: at for at, number in enumerate(ids)}
        return sorted(rows, key=lambda row: place[row["id"]])

    def of_ids(self, ids: Iterable[int], extra: Sequence[str] = ()) -> list[Row]:
        """The rows with these ids that are there, ascending; in one call where all are."""
        wanted = sorted(set(ids))
        shown = any(column.reaches(self.model) for column in self.columns)
        names = list(dict.fromkeys([*(column.name for column in self.columns), *extra]))
        try:
            rows = self.session.read(f"model.{self.model}.read", wanted, names, context=None if shown else EVERYTHING)
        except (Refused, AnswerTooLarge):
            return [row for batch in self.by_id([["id", "in", wanted]], len(wanted), extra) for row in batch]
        return sorted(rows, key=lambda row: int(row["id"]))

    def by_id(self, domain: Domain, limit: int, extra: Sequence[str] = ()) -> Iterator[list[Row]]:
        """All rows in batches of `limit`, by id."""
        yield from self._paged(domain, limit, ("id",), ["id", ">", 0], lambda last: ["id", ">", last["id"]], extra)

    def by_stamp(self, stamp: str, since: Any, domain: Domain, limit: int) -> Iterator[list[Row]]:
        """All rows whose `stamp` is `since` or later, in batches, by (stamp, id): a batch may end among equal ones."""
        def beyond(last: Row) -> Domain:
            return ["OR", [stamp, ">", last[stamp]], [[stamp, "=", last[stamp]], ["id", ">", last["id"]]]]

        yield from self._paged(domain, limit, (stamp, "id"), [stamp, ">=", since], beyond)

    def _paged(self, domain: Domain, limit: int, order: Sequence[str], after: Domain,
               beyond: Callable[[Row], Domain], extra: Sequence[str] = ()) -> Iterator[list[Row]]:
        """Until a batch is not full. What is too large for one answer is asked for in halves."""
        while True:
            try:
                batch = self.rows([domain, after], limit, order, [*order, *extra])
            except AnswerTooLarge:
                if limit == 1:
                    raise
                limit //= 2
                continue
            if batch:
                yield batch
            if len(batch) < limit:
                return
            after = beyond(batch[-1])

    def greatest(self, stamp: str, domain: Domain) -> Any:
        """The greatest value of `stamp`, as Tryton sends it; None where there is none."""
        found = Query(self.session, self.model, ()).rows([domain, [stamp, "!=", None]], 1, (f"-{stamp}",), (stamp,))
        return found[0][stamp] if found else None
