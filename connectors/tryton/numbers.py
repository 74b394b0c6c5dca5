"""Numbers that Tryton gives by itself, and that it may give twice to two who make a record at the same moment.

Then the second of them is refused by a constraint on a value that nobody sent: tried again, it gets another number.
What the constraint says depends on the user's language, so Tryton is asked for its words.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from connectors.tryton.answer import Refused
from connectors.tryton.session import Session
from mappings.errors import NavetteError


@dataclass(frozen=True)
class Given:
    """A field that Tryton fills, and what its constraint says in English."""

    field: str
    text: str


@dataclass
class Numbers:
    """For one model. `said`: what the constraint says in this session's language; None: not asked yet."""

    session: Session
    model: str
    said: set[str] | None = field(default=None)

    def were_given_twice(self, refused: Refused, rows: Iterable[Mapping[str, Any]]) -> bool:
        """Whether the refusal to make these rows is about a number that none of them brought."""
        given = GIVEN.get(self.model)
        if given is None or refused.code != "UserError" or any(row.get(given.field) for row in rows):
            return False
        if self.said is None:
            self.said = {given.text, *self._told(given)}
        return refused.message in self.said

    def _told(self, given: Given) -> list[str]:
        """What the constraint says to this user; nothing where he may not read it."""
        with suppress(NavetteError):
            found = self.session.read("model.ir.message.search", [["text", "=", given.text]], 0, None, None,
                                      context={"language": "en"})
            read = self.session.read("model.ir.message.read", found, ["text"])
            return [str(row["text"]).strip() for row in read]
        return []


GIVEN = {
    "party.party": Given("code", "The code on party must be unique."),
}
"""By model."""
