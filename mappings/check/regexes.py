"""Regular expressions of the mapping."""

from __future__ import annotations

import re


def regex_problem(pattern: str) -> str | None:
    """What is wrong with a regular expression."""
    if not pattern:
        return "an empty regular expression says nothing; write one, or leave the key out"
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        place = getattr(error, "pos", None)
        where = f" at character {place + 1}" if place is not None else ""
        return f"{pattern!r} is no regular expression: {getattr(error, 'msg', error)}{where}"
    return None
