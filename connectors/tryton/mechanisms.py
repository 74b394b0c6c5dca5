"""A party's phone, mobile, fax, e-mail and website, which stand for its first contact mechanism of that type.

Tryton reads them as columns of the party and takes them so for a party that has none; where there is one it wants the
mechanism itself to be written. Here they are columns both ways, in the same call as the party's other values::

    the party has none    ─▶ create [{type, value}]
    the party has one     ─▶ write [id], {value}         its name, comment and place in the list stay
    the cell is empty     ─▶ write [id], {active: false} the next one of that type takes its place
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from connectors.tryton.query import SOME
from connectors.tryton.session import Session

MECHANISM, COLUMN = "party.contact_mechanism", "contact_mechanisms"


@dataclass
class Mechanisms:
    """`first`: by (type, party), the id of the mechanism that Tryton shows, for the parties of this batch."""

    session: Session
    first: dict[tuple[str, int], int] = field(default_factory=dict)

    def prepare(self, names: Iterable[str], parties: Iterable[int]) -> None:
        """Reads which mechanisms there are, in Tryton's own order."""
        self.first.clear()
        kinds = list(names)
        numbers = list(dict.fromkeys(parties)) if kinds else []
        for at in range(0, len(numbers), SOME):
            found = self.session.read(f"model.{MECHANISM}.search_read",
                                      [["party", "in", numbers[at : at + SOME]], ["type", "in", kinds]],
                                      0, None, None, ["type", "party"])
            for row in found:
                self.first.setdefault((row["type"], row["party"]), row["id"])

    def changes(self, cells: Mapping[str, str], party: int) -> list[list[Any]]:
        """What brings the mechanisms of the party (0: a new one) to these cells, by type."""
        commands: list[list[Any]] = []
        for kind, text in cells.items():
            there = self.first.get((kind, party))
            if there is not None:
                commands.append(["write", [there], {"value": text} if text else {"active": False}])
            elif text:
                commands.append(["create", [{"type": kind, "value": text}]])
        return commands
