"""Lines for people: as they are, whatever a raw value holds."""

from __future__ import annotations

from pipelines.cli.console import out

BIGGEST = 2**63 - 1
"""The largest number of a run, a row or a record."""


def line(text: str) -> None:
    """One line: no markup read out of values, no terminal's width breaks it, no control character reaches it."""
    out.print(printable(text), markup=False, highlight=False, soft_wrap=True)


def printable(text: str) -> str:
    """Control characters spelled out: a cell could hold what a terminal would obey."""
    return "".join(sign if sign.isprintable() else " " if sign in "\t\n" else f"\\x{ord(sign):02x}" for sign in text)
