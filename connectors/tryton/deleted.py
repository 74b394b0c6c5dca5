"""Ids of deleted records, out of Tryton's log.

`ir.model.log` keeps `MODEL,ID` of every record that was deleted, but answers null when that column is read, since the
record is no more. It can still be searched. So the ids are asked for digit by digit, all entries at once, with a
digit's code (1 to 10; 0: there is none) in four bits::

    entries with bit 1 in the code of the 1st digit     resource like  MODEL,0%  or  MODEL,2%  or …
    entries with bit 2                                  resource like  MODEL,1%  or  MODEL,2%  or …
    …
    the 2nd digit                                       resource like  MODEL,_0%  or …

Four searches for each digit, however many records were deleted; an entry that was resolved once is remembered.

Who is no administrator may search the log for what hangs on records that are named, and a deleted one has no name: no
right opens it to another login.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from connectors.tryton.answer import Refused
from connectors.tryton.cells import cell
from connectors.tryton.query import EVERYTHING, SOME, Domain
from connectors.tryton.session import Session

log = logging.getLogger(__name__)
LOG = "ir.model.log"
LONGEST = 19  # digits of an id
REMEMBERED = 100_000
REFUSED = 60.0
"""Seconds until a log that was refused is asked for again."""
DIGITS = "0123456789"


@dataclass
class Deletions:
    """What a session knows of the log. `resolved`: by model, id of the log's entry to id of the deleted record;
    `again`: where it was refused, when it is asked for again."""

    session: Session
    resolved: dict[str, dict[int, int]] = field(default_factory=dict)
    again: float | None = None

    @property
    def refused(self) -> bool:
        """Whether the log is not for us, so that nothing is told."""
        return self.again is not None

    def latest(self, model: str, until: dict[str, Any]) -> str:
        """The stamp, a cell, of the last deletion until then; '' where there is none, or the log is not for us."""
        found = self._search_read([*_of(model), ["create_date", "<=", until]], 1, "DESC")
        return cell(found[0]["create_date"]) if found else ""

    def since(self, model: str, stamp: dict[str, Any]) -> tuple[list[int], list[str]]:
        """Ids that were deleted at `stamp` or later and are no more, and the stamps of the log's entries."""
        entries = self._entries(model, stamp)
        known = self.resolved.setdefault(model, {})
        new = [entry["id"] for entry in entries if entry["id"] not in known]
        if len(known) + len(new) > REMEMBERED:
            known.clear()
            new = [entry["id"] for entry in entries]
        for at in range(0, len(new), SOME):
            known.update(self._resolve(model, new[at : at + SOME]))
        ids = sorted({known[entry["id"]] for entry in entries if entry["id"] in known})
        there = self._there(model, ids)
        return [number for number in ids if number not in there], [cell(entry["create_date"]) for entry in entries]

    def _entries(self, model: str, stamp: dict[str, Any]) -> list[dict[str, Any]]:
        domain: Domain = [*_of(model), ["create_date", ">=", stamp]]
        entries = found = self._search_read(domain, SOME, "ASC")
        while len(found) == SOME:
            at, last = found[-1]["create_date"], found[-1]["id"]
            later = ["OR", ["create_date", ">", at], [["create_date", "=", at], ["id", ">", last]]]
            found = self._search_read([*_of(model), later], SOME, "ASC")
            entries = entries + found
        return entries

    def _search_read(self, domain: Domain, limit: int, way: str) -> list[dict[str, Any]]:
        if self.again is not None and time.monotonic() < self.again:
            return []
        try:
            found = list(self.session.read(f"model.{LOG}.search_read", domain, 0, limit,
                                           [["create_date", way], ["id", way]], ["create_date"]))
        except Refused as refused:
            self.again = time.monotonic() + REFUSED
            _warn(self.session.wire.url, self.session.settings.user, refused.message)
            return []
        self.again = None
        return found

    def _resolve(self, model: str, entries: list[int]) -> dict[int, int]:
        texts = dict.fromkeys(entries, "")
        unfinished = entries
        for place in range(LONGEST):
            codes = dict.fromkeys(unfinished, 0)
            for bit in (1, 2, 4, 8):
                likes = [["resource", "like", f"{_literal(model)},{'_' * place}{digit}%"]
                         for digit in DIGITS if (int(digit) + 1) & bit]
                for entry in self._search([["id", "in", unfinished], ["OR", *likes]]):
                    codes[entry] |= bit
            unfinished = [entry for entry in unfinished if codes[entry]]
            if not unfinished:
                break
            for entry in unfinished:
                texts[entry] += DIGITS[codes[entry] - 1]
        return {entry: int(text) for entry, text in texts.items() if text}

    def _search(self, domain: Domain) -> Iterable[int]:
        return list(self.session.read(f"model.{LOG}.search", domain, 0, None, None))

    def _there(self, model: str, ids: list[int]) -> set[int]:
        """Those that exist: some databases give the number of a deleted record to the next one."""
        there: set[int] = set()
        for at in range(0, len(ids), SOME):
            there.update(self.session.read(f"model.{model}.search", [["id", "in", ids[at : at + SOME]]], 0, None, None,
                                           context=EVERYTHING))
        return there


@cache  # once in a process
def _warn(url: str, user: str, said: str) -> None:
    log.warning("%s: what is deleted is not told to %r, since Tryton shows its log of it to administrators only (%s); "
                "make this login one, or have all keys compared now and then by a full read", url, user, said)


def _of(model: str) -> Domain:
    return [["event", "=", "delete"], ["resource", "like", f"{_literal(model)},%"]]


def _literal(name: str) -> str:
    """A name in which LIKE finds no wildcard."""
    return name.replace("_", r"\_")
