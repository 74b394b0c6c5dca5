"""Date and time formats of the mapping."""

from __future__ import annotations

import re
from datetime import datetime

NUMBERS = ("epoch", "epoch_ms", "excel")
_TRIED = datetime(2026, 11, 22, 13, 45, 59)  # a moment whose every part differs


def time_format_problem(form: str) -> str | None:
    """What is wrong with a strptime format; None where dates written in it are read back."""
    if form in NUMBERS:
        return None
    if "%" not in form:
        near = re.sub(r"(?i)yyyy", "%Y", form)
        near = re.sub(r"yy|YY", "%y", near)
        near = re.sub(r"(?<!%)(dd|DD|jj|JJ)", "%d", near)
        near = re.sub(r"MM", "%m", near, count=1)
        near = near.replace("HH", "%H").replace("hh", "%H").replace("mm", "%M").replace("ss", "%S").replace("SS", "%S")
        hint = f", as in {near!r}" if "%" in near else f", or one of {', '.join(NUMBERS)}"
        return f"{form!r} is no date format: write strptime directives{hint}"
    try:
        back = datetime.strptime(_TRIED.strftime(form), form)
    except ValueError as error:
        return f"{form!r} is no date format: {error}"
    if back.date() != _TRIED.date():
        return f"{form!r} does not tell the whole date: it needs day, month and year"
    return None
