"""A party's phone, mobile, fax, e-mail and website, which stand for its first contact mechanism of that type.

Tryton reads them as columns of the party and takes them so for a party that has none; where there is one it wants the
mechanism itself to be written. Here they are columns both ways, in the same call as the party's other values::

    the party has none                 ─▶ create [{type, value}]
    the party has one                  ─▶ write [id], {value}         its name, comment and place in the list stay
    … in the place of another value    ─▶ Moved                       somebody has changed it, or their order
    … in the place of nothing          ─▶ create, before it           it is none of those that were written
    the cell is empty                  ─▶ write [id], {active: false} the next one of that type takes its place

The party's version does not move with its mechanisms: the write names theirs too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from connectors.tryton.model import VERSION
from connectors.tryton.query import EVERYTHING, SOME, Row
from connectors.tryton.session import Session
from mappings.errors import NavetteError

MECHANISM, COLUMN = "party.contact_mechanism", "contact_mechanisms"


class Moved(NavetteError):
    """The party's first mechanism of a type is not the one that was read."""


@dataclass
class Mechanisms:
    """`there`: by (type, party), what the parties of this batch have, in Tryton's own order. `written`: by party, the
    ids of those that are about to be written, and their versions."""

    session: Session
    there: dict[tuple[str, int], list[Row]] = field(default_factory=dict)
    written: dict[int, dict[int, str]] = field(default_factory=dict)

    def prepare(self, names: Iterable[str], parties: Iterable[int]) -> None:
        """Reads which mechanisms there are."""
        self.there.clear()
        self.written.clear()
        kinds = list(names)
        numbers = list(dict.fromkeys(parties)) if kinds else []
        for at in range(0, len(numbers), SOME):
            found = self.session.read(f"model.{MECHANISM}.search_read",
                                      [["party", "in", numbers[at : at + SOME]], ["type", "in", kinds]],
                                      0, None, None, ["type", "party", "value", "sequence", VERSION])
            for row in found:
                self.there.setdefault((row["type"], row["party"]), []).append(row)

    def changes(self, cells: Mapping[str, str], party: int, expected: Mapping[str, str]) -> list[list[Any]]:
        """What brings the mechanisms of the party (0: a new one) to these cells, by type. `expected`: what these take
        the place of, where that is known. Raises Moved."""
        commands: list[list[Any]] = []
        for kind, text in cells.items():
            there = self.there.get((kind, party), [])
            before = expected.get(kind)
            if before and before != (there[0]["value"] if there else ""):
                raise Moved(f"{kind}: somebody has changed it meanwhile")
            if there and before == "":
                commands += self._before(there, text, party) if text else []
            elif there:
                commands += self._write(there[:1], {"value": text} if text else {"active": False}, party)
            elif text:
                commands.append(["create", [{"type": kind, "value": text}]])
        return commands

    def moved(self, parties: Collection[int]) -> set[int]:
        """Those of whose mechanisms one that was about to be written has another version by now, or is gone."""
        versions = {number: version for party in parties for number, version in self.written.get(party, {}).items()}
        rows = self.session.read(f"model.{MECHANISM}.search_read", [["id", "in", list(versions)]], 0, None, None,
                                 [VERSION], context=EVERYTHING) if versions else []
        same = {row["id"] for row in rows if row[VERSION] == versions[row["id"]]}
        return {party for party in parties if not self.written.get(party, {}).keys() <= same}

    def _write(self, rows: list[Row], values: dict[str, Any], party: int) -> list[list[Any]]:
        self.written.setdefault(party, {}).update({row["id"]: row[VERSION] for row in rows})
        return [["write", [row["id"] for row in rows], values]]

    def _before(self, there: list[Row], text: str, party: int) -> list[list[Any]]:
        """A new one before all others of its type. Those without a sequence come first, by their ids: they get one."""
        sequences = [row["sequence"] for row in there if row["sequence"] is not None]
        first = min(sequences, default=1) - 1
        unordered = [row for row in there if row["sequence"] is None]
        moved = self._write(unordered, {"sequence": first}, party) if unordered else []
        return [*moved, ["create", [{"type": there[0]["type"], "value": text, "sequence": first - 1}]]]
