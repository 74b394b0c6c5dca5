"""Whether a row is what a system made of the cells that it was sent: cut, trimmed, or written its own way.

::

    sent                    stored                  alike
    Atelier Nord et Sud     Atelier Nord et Sud     the same
    Atelier Nord et Sud     Atelier No              cut, where what is left is long enough to tell
    " Villeneuve "          Villeneuve              by letters and digits, without case and accents
    +33199000001            01 99 00 00 01          by the last digits
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Any

TELLING = 8
"""Letters or digits that tell one value from another."""


def stored_of(sent: Mapping[str, str], there: Mapping[str, Any]) -> bool:
    """Whether each cell of `sent` is alike in the row."""
    return bool(sent) and all(alike(cell, there.get(column)) for column, cell in sent.items())


def alike(sent: str, there: Any) -> bool:
    """Whether one cell may be what became of the other."""
    stored = there if isinstance(there, str) else ""
    if stored == sent:
        return True
    ours, theirs = _bare(sent), _bare(stored)
    if ours == theirs:
        return bool(ours)
    cut = len(theirs) >= TELLING and ours.startswith(theirs)
    digits = ours.isdigit() and theirs.isdigit() and len(theirs) >= TELLING and ours[-TELLING:] == theirs[-TELLING:]
    return cut or digits


def _bare(text: str) -> str:
    return "".join(sign for sign in unicodedata.normalize("NFKD", text).casefold() if sign.isalnum())
