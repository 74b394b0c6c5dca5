"""File name patterns: `CLI_{company}_{day:%Y%m%d}.csv`, with `*` and `?`; the parts in braces become values.

::

    {company}        any text without a slash
    {day:%Y%m%d}     a date or time, by strptime's directives; its value is ISO (2026-11-22), and it gives an order;
                     %I with %p (AM or PM) is the hour of a 12-hour clock
    {number:d}       digits; gives an order too; {number:06d} where it is written with six digits at least
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Literal

_PIECE = re.compile(r"\{(?P<part>[^{}]*)\}|(?P<brace>[{}])|(?P<wild>[*?])|(?P<text>[^{}*?]+)")
_PART = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::(?P<form>.+))?")
_DIRECTIVES = {
    "Y": r"\d{4}", "y": r"\d{2}", "m": r"\d{2}", "d": r"\d{2}", "H": r"\d{2}", "M": r"\d{2}", "S": r"\d{2}",
    "I": r"\d{2}", "p": "[AaPp][Mm]", "j": r"\d{3}", "b": r"[^\W\d_]+", "B": r"[^\W\d_]+", "%": "%",
}
_SAMPLE = datetime(2026, 11, 22, 13, 45, 59)


@dataclass(frozen=True)
class Part:
    """A part in braces; `form` is the strptime form of a date, or how a number is written."""

    name: str
    kind: Literal["text", "date", "number"]
    form: str = ""


@dataclass(frozen=True)
class FilePattern:
    """A pattern, taken apart: texts to be met as they stand, "*" and "?", and parts."""

    written: str
    pieces: tuple[str | Part, ...]

    @property
    def parts(self) -> tuple[Part, ...]:
        return tuple(piece for piece in self.pieces if isinstance(piece, Part))

    def order(self, named: str | None = None) -> Part | None:
        """The part that puts files in order: the one named, else the first date, else the first number."""
        kinds = ("date", "number")
        return next((part for part in self.parts if part.name == named), None) if named else next(
            (part for kind in kinds for part in self.parts if part.kind == kind), None
        )

    @cached_property
    def expression(self) -> re.Pattern[str]:
        return re.compile("".join(_expression(piece) for piece in self.pieces))

    def match(self, name: str) -> dict[str, str] | None:
        """The parts of a file's name, dates in ISO form; None where the name does not fit."""
        found = self.expression.fullmatch(name)
        if found is None:
            return None
        values: dict[str, str] = {}
        for part in self.parts:
            text = found[part.name]
            if part.kind == "date":
                try:
                    moment = datetime.strptime(text, part.form)
                except ValueError:
                    return None
                timed = any(directive in part.form for directive in ("%H", "%I", "%M", "%S"))
                text = moment.isoformat() if timed else moment.date().isoformat()
            values[part.name] = text
        return values

    def name(self, number: int, moment: datetime, texts: Mapping[str, str]) -> str:
        """The name of the file with this number, written at this moment; `texts`: what text parts become."""
        def written(piece: str | Part) -> str:
            if isinstance(piece, str):
                return piece
            if piece.kind == "number":
                return format(number, piece.form)
            return moment.strftime(piece.form) if piece.kind == "date" else texts[piece.name]

        return "".join(map(written, self.pieces))

    @property
    def sample(self) -> str:
        """A name that fits."""
        return "".join(_sample(piece) for piece in self.pieces)


def parse_pattern(written: str) -> FilePattern:
    """The pattern; raises ValueError with what is wrong in it."""
    pieces: list[str | Part] = []
    if not written.strip():
        raise ValueError("an empty pattern fits no file")
    for found in _PIECE.finditer(written):
        if found["brace"]:
            raise ValueError(f"the {found['brace']} at character {found.start() + 1} has no partner")
        if found["part"] is not None:
            part = _part(found["part"])
            if any(isinstance(other, Part) and other.name == part.name for other in pieces):
                raise ValueError(f"{{{part.name}}} stands twice")
            pieces.append(part)
        else:
            pieces.append(found[0])
    if "/" in written or "\\" in written:
        raise ValueError("a pattern is a file name, without folders; the folder stands with the system")
    return FilePattern(written, tuple(pieces))


def usable_pattern(written: str | None) -> FilePattern | None:
    """The pattern; None where there is none, or a wrong one: such a flow does not run, and stops no other."""
    try:
        return None if written is None else parse_pattern(written)
    except ValueError:
        return None


def _part(written: str) -> Part:
    found = _PART.fullmatch(written)
    if not found:
        raise ValueError(f"{{{written}}} is no part: write {{name}}, {{name:d}} or {{name:%Y%m%d}}")
    name, form = found["name"], found["form"]
    if form is None:
        return Part(name, "text")
    if re.fullmatch(r"0?\d*d?", form):
        return Part(name, "number", form.removesuffix("d") + "d")
    unknown = [directive for directive in re.findall(r"%(.?)", form) if directive not in _DIRECTIVES]
    if unknown or "%" not in form:
        what = f"%{unknown[0]}" if unknown else repr(form)
        raise ValueError(f"{{{written}}}: {what} is not understood; a date is written as in %Y%m%d, a number as d")
    said = set(re.findall(r"%(.)", form))
    if not {"Y", "y"} & said:
        raise ValueError(f"{{{written}}}: a date needs its year")
    if ("I" in said) != ("p" in said):
        raise ValueError(f"{{{written}}}: the hours of a 12-hour clock are %I and need %p, AM or PM; else write %H")
    return Part(name, "date", form)


def _expression(piece: str | Part) -> str:
    if isinstance(piece, str):
        return {"*": "[^/]*", "?": "[^/]"}.get(piece, re.escape(piece))
    if piece.kind == "number":
        return rf"(?P<{piece.name}>\d+)"
    if piece.kind == "text":
        return rf"(?P<{piece.name}>[^/]+?)"
    inner = re.sub(
        r"%(.)|([^%])", lambda m: _directive(m) if m[1] else re.escape(m[2]), piece.form, flags=re.DOTALL
    )
    return rf"(?P<{piece.name}>{inner})"


def _directive(found: re.Match[str]) -> str:
    """Months, days and times may be written without their zero where what stands beside them tells where they end."""
    form, at, end = found.string, found.start(), found.end()
    alone = (at == 0 or form[at - 2 : at - 1] != "%") and (end == len(form) or form[end] != "%")
    return r"\d{1,2}" if found[1] in "mdHIMS" and alone else _DIRECTIVES[found[1]]


def _sample(piece: str | Part) -> str:
    if isinstance(piece, str):
        return {"*": "", "?": "x"}.get(piece, piece)
    if piece.kind == "number":
        return format(1, piece.form)
    return "x" if piece.kind == "text" else _SAMPLE.strftime(piece.form)
