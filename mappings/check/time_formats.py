"""Date and time formats of the mapping."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime

WORDS = ("iso", "epoch", "epoch_ms", "excel")
SHORT_YEAR = "%y"
_TRIED = datetime(2026, 11, 22, 13, 45, 59, tzinfo=UTC)  # a moment whose every part differs
# The letters of other tools, French ones too; a letter alone counts only where no other stands beside it.
_LETTERS = re.compile(
    r"(?P<year>yyyy|aaaa)|(?P<short>yy|aa)|(?P<month>mmmm?)|(?P<minute>mi)|(?P<mm>mm)|(?P<day>dd|jj)|(?P<hour>hh(24)?)"
    r"|(?P<fraction>s{3,6}|f{3,6})|(?P<second>ss)|(?<![a-z])(?P<one>[ymdjhis])(?![a-z])", re.IGNORECASE)
_WRITTEN = {"year": "%Y", "short": "%y", "minute": "%M", "day": "%d", "hour": "%H", "fraction": "%f", "second": "%S"}
_ALONE = {"y": "short", "m": "mm", "d": "day", "j": "day", "h": "hour", "i": "minute", "s": "second"}


def time_format_problem(form: str, words: Sequence[str] = WORDS, *, zoned: bool = True) -> str | None:
    """What is wrong with a strptime format; None where dates written in it are read back. `words`: those that may
    stand instead; `zoned`: whether it may tell the offset."""
    if form in words:
        return None
    if "%" not in form:
        return _no_directive(form, words)
    if problem := _zone_problem(form, zoned=zoned):
        return problem
    try:
        back = datetime.strptime(_TRIED.strftime(form), form)
    except ValueError as error:
        return f"{form!r} is no date format: {error}"
    if back.date() != _TRIED.date():
        return f"{form!r} does not tell the whole date: it needs day, month and year"
    return None


def _zone_problem(form: str, *, zoned: bool) -> str | None:
    directives = re.findall("%(.)", form)
    if "Z" in directives:
        return f"{form!r}: what %Z stands for is not the same everywhere; read offsets, with %z"
    if "z" in directives and not zoned:
        return f"{form!r}: a date has no offset: leave out the time, which is cut off where it stands behind a date"
    return None


def written_format_problem(form: str) -> str | None:
    """What is wrong with a format that is only written; it may tell a part of the date."""
    return _no_directive(form, WORDS) if "%" not in form and form not in WORDS else None


def _no_directive(form: str, words: Sequence[str]) -> str:
    near = _near(form)
    hint = f", as in {near!r}" if "%" in near else f", or one of {', '.join(words)}" if words \
        else ", as in '%Y-%m-%d'"
    return f"{form!r} is no date format: write strptime directives{hint}"


def _near(form: str) -> str:
    """The directives that were probably meant by dd/mm/yyyy, yyyy-MM-dd HH:mm or jj/mm/aaaa."""
    found = list(_LETTERS.finditer(form))
    kinds = [_kind(part) for part in found]
    pieces, end = [], 0
    for place, (part, kind) in enumerate(zip(found, kinds, strict=True)):
        pieces += [form[end:part.start()], _directive(part[0], kind, kinds[:place], kinds[place + 1:])]
        end = part.end()
    return "".join([*pieces, form[end:]])


def _kind(part: re.Match[str]) -> str:
    if part["one"] is not None:
        return "year" if part["one"] == "Y" else _ALONE[part["one"].lower()]
    return part.lastgroup or ""


def _directive(text: str, kind: str, before: Sequence[str], after: Sequence[str]) -> str:
    """What mm means is told by what stands beside it: minutes behind hours or before seconds, else the month."""
    if kind == "mm":
        return "%M" if before[-1:] == ["hour"] or after[:1] == ["second"] else "%m"
    if kind == "month":  # by its name
        return "%B" if len(text) == 4 else "%b"
    return _WRITTEN[kind]
