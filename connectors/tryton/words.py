"""What Tryton says to this session, in its language: nearly all of its exceptions go by one name, so that only their
words tell one from another.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from connectors.tryton.answer import Refused
from connectors.tryton.session import Session
from mappings.errors import NavetteError

_RULES = " of these rules:\n%(rules)s"
NO_RIGHT = (
    'You are not allowed to access "%(model)s".',
    'You are not allowed to access "%(model)s.%(field)s".',
    'You are not allowed to create records of "%(model)s" because they fail on at least one' + _RULES,
    'You are not allowed to read records "%(ids)s" of "%(model)s" because of at least one' + _RULES,
    'You are not allowed to write to records "%(ids)s" of "%(model)s" because of at least one' + _RULES,
    'You are not allowed to delete records "%(ids)s" of "%(model)s" because of at lease one of those rules:\n%(rules)s',
)
"""The messages of an access right, of a field's, and of the rules of records."""
PLACE = re.compile(r"%\(\w+\)s")


@dataclass
class Words:
    """`known`: English messages as this session reads them, asked for once."""

    session: Session
    known: dict[Sequence[str], set[str]] = field(default_factory=dict)

    def say(self, refused: Refused, texts: Sequence[str]) -> bool:
        """Whether the refusal is one of these messages, whatever stands in their places."""
        if refused.code != "UserError":
            return False
        if texts not in self.known:
            self.known[texts] = {" ".join(text.split()) for text in (*texts, *self._read(texts))}
        said = " ".join(refused.message.split())
        return any(_pattern(text).match(said) for text in self.known[texts])

    def _read(self, texts: Sequence[str]) -> list[str]:
        """The messages in the session's language; nothing where its user may not read them."""
        with suppress(NavetteError):
            found = self.session.read("model.ir.message.search", [["text", "in", list(texts)]], 0, None, None,
                                      context={"language": "en"})
            return [str(row["text"]) for row in self.session.read("model.ir.message.read", found, ["text"])]
        return []


def _pattern(text: str) -> re.Pattern[str]:
    """A message with anything in its places; what follows it is its description."""
    return re.compile(".*?".join(map(re.escape, PLACE.split(text))))
