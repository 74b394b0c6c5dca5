"""Words in messages: the nearest valid word for a typo, and lists that stay short."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

SHOWN = 12
OTHER_WORDS: dict[str, tuple[str, ...]] = {
    "from": ("column", "source", "col", "field"),
    "as": ("codec", "kind"),
    "values": ("map", "mapping", "codes", "table", "lookup", "enum"),
    "refers": ("references", "link", "foreign_key"),
    "pattern": ("regex", "regexp"),
    "delimiter": ("separator", "sep"),
    "encoding": ("charset", "codepage"),
    "columns": ("layout",),
    "key": ("id", "primary_key", "unique"),
    "fields": ("mappings",),
    "when": ("filter", "where", "if", "only"),
    "files": ("file", "path", "glob", "filename"),
    "absent": ("missing", "delete", "deleted"),
    "text": ("string", "str", "varchar"),
    "number": ("int", "bigint"),
    "integer": ("int", "number"),
    "decimal": ("float", "double", "numeric"),
    "boolean": ("bool", "checkbox"),
    "phone": ("tel", "telephone"),
    "email": ("mail", "courriel"),
    "url": ("website", "link"),
    "choice": ("enum", "select"),
    "datetime": ("timestamp",),
    "excel": ("xlsx", "xls", "ods"),
    "jsonl": ("json", "ndjson"),
    "csv": ("txt", "tsv", "delimited"),
    "like": ("inherits", "extends", "base"),
    "folder": ("dir", "directory"),
    "schedule": ("cron",),
    "guard": ("limits",),
}
"""What other tools call these words."""


def listed(words: Iterable[str], joint: str = "or") -> str:
    """`a, b or c`; a long list ends in how many more there are."""
    every = [str(word) for word in words]
    if len(every) > SHOWN:
        return f"{', '.join(every[:SHOWN])} … ({len(every) - SHOWN} more)"
    if len(every) < 2:
        return "".join(every)
    return f"{', '.join(every[:-1])} {joint} {every[-1]}"


def nearest(word: str, valid: Iterable[str]) -> str | None:
    """The valid word that was most likely meant, told by spelling; None where none is near."""
    every = {candidate.lower(): candidate for candidate in valid}
    low = word.lower()
    close = get_close_matches(low, every, n=1, cutoff=0.75)
    elsewhere = [name for name, others in OTHER_WORDS.items() if low in others and name in every]
    close = close or elsewhere or get_close_matches(low, every, n=1, cutoff=0.6)
    if close:
        return every[close[0]]
    part = [name for short, name in every.items() if min(len(low), len(short)) >= 3 and (low in short or short in low)]
    return part[0] if len(part) == 1 else None


def did_you_mean(word: str, valid: Iterable[str]) -> str:
    """What follows "there is no X": the nearest word, else all of them where they are few."""
    every = list(valid)
    near = nearest(word, every)
    if near:
        return f"; did you mean {near!r}?"
    return f"; there is {listed(every, 'and')}" if every else ""
