"""Numbers that Tryton gives by itself, and that it may give twice to two who make a record at the same moment.

Then the second of them is refused by a constraint on a value that nobody sent: tried again, it gets another number.
What the constraint says depends on the user's language.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from connectors.tryton.answer import Refused
from connectors.tryton.words import Words


@dataclass(frozen=True)
class Given:
    """A field that Tryton fills, and what its constraint says in English."""

    field: str
    text: str


@dataclass(frozen=True)
class Numbers:
    """For one model."""

    words: Words
    model: str

    def were_given_twice(self, refused: Refused, rows: Iterable[Mapping[str, Any]]) -> bool:
        """Whether the refusal to make these rows is about a number that none of them brought."""
        given = GIVEN.get(self.model)
        if given is None or any(row.get(given.field) for row in rows):
            return False
        return self.words.say(refused, (given.text,))


GIVEN = {
    "party.party": Given("code", "The code on party must be unique."),
}
"""By model."""
