"""The grammar of one delimited record: where it ends and what its cells are, for lines that are not plain.

A line is read in this order, and the first reading with the expected number of columns holds::

    1. on its own line; a quote inside a quoted cell that is neither doubled nor before a delimiter is a character
    2. over several lines, by the strict rule (quotes inside are doubled), within LOOK_AHEAD bytes
    3. on its own line; a quote before a delimiter always closes, even a doubled one ("1/2"" is 1/2")
    4. the line is damaged ("quote" if one stays open, else "columns"), and the next physical line is a new record

The outcome depends on nothing but the text after the record's beginning.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

LOOK_AHEAD = 256 * 1024

Reading = Literal["line", "strict", "greedy"]
State = Literal["closed", "open", "stray"]
_END = re.compile(rb"\r\n?|\n")


@dataclass(frozen=True)
class Grammar:
    """How cells are told apart; single ASCII bytes, None where there is no such character; how comments begin."""

    delimiter: bytes
    quote: bytes | None = b'"'
    escape: bytes | None = None
    comments: tuple[bytes, ...] = ()

    @cached_property
    def left_out(self) -> tuple[bytes, ...]:
        """How the lines begin that are left out: their first cell may stand in quotes."""
        return (*self.comments, *(self.quote + begin for begin in self.comments if self.quote))

    @cached_property
    def outside(self) -> re.Pattern[bytes]:
        return re.compile(b"[" + re.escape(self.delimiter) + re.escape(self.escape or b"") + rb"\r\n]")

    @cached_property
    def inside(self) -> re.Pattern[bytes]:
        return re.compile(b"[" + re.escape(self.quote or b'"') + re.escape(self.escape or b"") + b"]")

    @cached_property
    def special(self) -> bytes:
        """What an escape character takes the meaning of; before anything else it is a character itself."""
        return self.delimiter + (self.quote or b"") + (self.escape or b"") + b"\r\n"

    def has_marks(self, text: bytes) -> bool:
        """Whether quotes or escapes stand in it: without them a line is its cells and nothing else."""
        return any(mark is not None and mark in text for mark in (self.quote, self.escape))

    @property
    def mark(self) -> bytes:
        """What stands around cells in plain form: the quote, or where there is none what no table holds (U+001F)."""
        return self.quote or b"\x1f"

    def written(self, cells: list[bytes], mark: bytes = b"") -> bytes:
        """The record with every cell in quotes (or marks), those inside doubled."""
        quote = mark or self.quote or b'"'
        return self.delimiter.join(quote + cell.replace(quote, quote * 2) + quote for cell in cells) + b"\n"


@dataclass(frozen=True)
class Reached:
    """`end`: after the record's line end; `state`: closed, open (at the limit, in a quote) or stray (strict only)."""

    cells: list[bytes]
    end: int
    state: State


@dataclass(frozen=True)
class Verdict:
    """What became of the text from a line's beginning: cells, or a reason; `end` is after the last line it took."""

    end: int
    cells: list[bytes] | None = None
    code: str = ""
    params: dict[str, Any] | None = None


def line_end(text: bytes, start: int) -> tuple[int, int]:
    """Where the physical line's content ends, and where the next line begins."""
    found = _END.search(text, start)
    return (found.start(), found.end()) if found else (len(text), len(text))


def reach(grammar: Grammar, text: bytes, start: int, limit: int, reading: Reading) -> Reached:
    """The cells from `start` to the record's end, at most to `limit`."""
    cells: list[bytes] = []
    at = start
    while True:
        if grammar.quote and text[at : at + 1] == grammar.quote and at < limit:
            cell, at, state = _quoted(grammar, text, at + 1, limit, reading)
            if state != "closed":
                return Reached(cells, at, state)
        else:
            cell, at, state = _bare(grammar, text, at, limit, reading)
            if state != "closed":
                return Reached(cells, at, state)
        cells.append(cell)
        if at >= limit:
            return Reached(cells, limit, "closed")
        if text[at : at + 1] == grammar.delimiter:
            at += 1
            continue
        return Reached(cells, line_end(text, at)[1], "closed")


def _bare(grammar: Grammar, text: bytes, at: int, limit: int, reading: Reading) -> tuple[bytes, int, State]:
    kept, begin = b"", at
    while (found := grammar.outside.search(text, at, limit)) is not None:
        here = found.start()
        if found[0] != grammar.escape:
            return kept + text[begin:here], here, "closed"
        if reading == "line" and here + 1 == limit < len(text):
            return b"", limit, "open"  # an escaped line end
        kept, begin, at = _escaped(grammar, text, kept, begin, here=here, limit=limit)
    return kept + text[begin:limit], limit, "closed"


def _quoted(grammar: Grammar, text: bytes, at: int, limit: int, reading: Reading) -> tuple[bytes, int, State]:
    kept, begin, quote = b"", at, grammar.quote or b'"'
    while (found := grammar.inside.search(text, at, limit)) is not None:
        here = found.start()
        if found[0] == grammar.escape and grammar.escape != quote:
            kept, begin, at = _escaped(grammar, text, kept, begin, here=here, limit=limit)
            continue
        after = here + 1
        while after < limit and text[after : after + 1] == quote:
            after += 1
        run = after - here
        ends = after >= limit or text[after : after + 1] in (grammar.delimiter, b"\r", b"\n")
        if ends and (run % 2 or reading == "greedy"):
            return kept + text[begin:here] + quote * (run // 2), after, "closed"
        if run % 2 and reading == "strict":
            return b"", here, "stray"
        kept, begin, at = kept + text[begin:here] + quote * ((run + 1) // 2), after, after
    return b"", limit, "open"


def _escaped(
    grammar: Grammar, text: bytes, kept: bytes, begin: int, *, here: int, limit: int
) -> tuple[bytes, int, int]:
    """An escape character at `here`: (cell so far, where its next piece begins, where to go on)."""
    following = text[here + 1 : here + 2]
    if here + 1 < limit and following in grammar.special:
        return kept + text[begin:here] + following, here + 2, here + 2
    return kept, begin, here + 1


def judge(
    grammar: Grammar, text: bytes, start: int, *, width: int, final: bool, passes: Callable[[list[bytes]], bool]
) -> Verdict | None:
    """The record that begins at `start`; None if only more text can tell (never when `final`).

    `passes`: whether cells in any number will do (records of a type that is not read).
    """

    def good(cells: list[bytes]) -> bool:
        return len(cells) == width or passes(cells)

    stop, following = line_end(text, start)
    alone = reach(grammar, text, start, stop, "line")
    if alone.state == "closed" and good(alone.cells):
        return Verdict(following, alone.cells)
    if alone.state == "open":
        limit = min(len(text), start + LOOK_AHEAD)
        several = reach(grammar, text, start, limit, "strict")
        undecided = several.state == "open" or several.end >= limit
        if undecided and not final and limit < start + LOOK_AHEAD:
            return None
        whole = several.state == "closed" and (several.end < limit or limit < start + LOOK_AHEAD)
        if whole and good(several.cells) and not swallows(grammar, text, start, several.end, width):
            return Verdict(several.end, several.cells)
    greedy = reach(grammar, text, start, stop, "greedy")
    if greedy.state == "closed" and good(greedy.cells):
        return Verdict(following, greedy.cells)
    if alone.state == "open":
        return Verdict(following, None, "quote", {})
    return Verdict(following, None, "columns", {"found": len(alone.cells), "expected": width})


def swallows(grammar: Grammar, text: bytes, start: int, end: int, width: int) -> bool:
    """A quote that is never closed, and a stray one lines below, would make one record of all lines between them.

    They are taken for that, and not for a cell over several lines, when the quote stands alone on its line, and that
    line and every one below it has all its columns by itself.
    """
    quote, stop = grammar.quote or b'"', line_end(text, start)[0]
    return width >= 3 and text.count(quote, start, stop) == 1 and each_line_is_whole(grammar, text, start, end, width)


def each_line_is_whole(grammar: Grammar, text: bytes, start: int, end: int, width: int) -> bool:
    """Whether each physical line from `start` to `end`, blank ones aside, has `width` columns by itself."""
    at = start
    while at < end:
        begin, (stop, at) = at, line_end(text, at)
        if stop == begin or text.count(grammar.delimiter, begin, stop) == width - 1:
            continue
        alone = reach(grammar, text, begin, stop, "line")
        if alone.state != "closed" or len(alone.cells) != width:
            return False
    return True
