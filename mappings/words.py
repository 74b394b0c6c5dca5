"""The glossary's closed sets, spelled once: outcomes, run states, triggers, directions, field types."""

from __future__ import annotations

from typing import Literal, get_args

Outcome = Literal["created", "updated", "unchanged", "skipped", "superseded", "rejected", "parked", "review"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)

RunState = Literal["landing", "landed", "applying", "done", "review", "refused", "failed"]
RUN_STATES: tuple[RunState, ...] = get_args(RunState)

AGAIN = ("replay", "retry", "settle")
"""Triggers of runs that admit held rows again."""

Direction = Literal["in", "out", "two-way"]

FieldType = Literal[
    "text", "long_text", "number", "decimal", "money", "quantity", "date", "datetime", "boolean",
    "choice", "choices", "link", "links", "url", "file",
]
FIELD_TYPES: tuple[FieldType, ...] = get_args(FieldType)

INVISIBLE = "\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\ufeff"
"""Characters without a width (joiners, marks of direction, byte order marks): at the edges of a text they come from
copying, and nobody sees them."""

KEY_SEPARATOR = "|"
"""Parts of a composite key are joined by this; inside a part it is written ``\\|`` and a backslash ``\\\\``."""
