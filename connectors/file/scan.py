"""Cuts a piece of delimited text into records: all at once where the lines are plain, one by one where they are not.

::

    no quote, no escape, no comment     every physical line is a record
    quotes by the strict rule           a record ends where an even number of quotes lies behind (whole arrays)
    anything else                       plain lines as above; each other line goes to record.judge

Lines are bytes of UTF-8; ends are LF, CR LF and lone CR, mixed as they come.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from connectors.file.record import LOOK_AHEAD, Grammar, judge
from connectors.page import Integers

Bytes = npt.NDArray[np.uint8]
Flags = npt.NDArray[np.bool_]
LF, CR = 10, 13


@dataclass
class Lines:
    """The physical lines of a piece: where each begins, where its content ends, where the next begins."""

    starts: Integers
    stops: Integers
    nexts: Integers

    def __len__(self) -> int:
        return len(self.starts)


@dataclass
class Records:
    """The records of a piece, blank lines and comments left out.

    `first`: the line each begins on, counted from 0 in the piece; `rewritten`: records to be read in this plain form
    instead of their own text; `refused`: code and params of the damaged ones (both by place among the records);
    `used`: bytes of the piece that are told; `lines`: physical lines in them.
    """

    starts: Integers
    ends: Integers
    first: Integers
    used: int
    lines: int
    several: bool = False  # some record goes over several lines
    comments: bool = False  # some lines between the records are comments
    rewritten: dict[int, bytes] = field(default_factory=dict)
    refused: dict[int, tuple[str, dict[str, Any]]] = field(default_factory=dict)


def physical_lines(text: bytes, array: Bytes, *, final: bool) -> Lines:
    """All complete lines; a last line without line end only if the file ends there (`final`)."""
    ends = np.flatnonzero(array == LF).astype(np.int64)
    lone = np.zeros(0, dtype=np.int64)
    if b"\r" in text:
        returns = np.flatnonzero(array == CR).astype(np.int64)
        followed = np.zeros(len(returns), dtype=bool)
        inner = returns + 1 < len(array)
        followed[inner] = array[returns[inner] + 1] == LF
        lone = returns[~followed & (inner | final)]
        ends = np.sort(np.concatenate([ends, lone])) if len(lone) else ends
    nexts = ends + 1
    starts = np.concatenate([np.zeros(1, dtype=np.int64), nexts])
    stops = ends.copy()
    if b"\r" in text and len(ends):
        pair = (ends > 0) & (array[ends] == LF) & (array[np.maximum(ends - 1, 0)] == CR)
        stops[pair] -= 1
    if final and starts[-1] < len(text):
        stops, nexts = np.append(stops, len(text)), np.append(nexts, len(text))
    else:
        starts = starts[:-1]
    return Lines(starts, stops, nexts)


def cut(text: bytes, grammar: Grammar, width: int, *, final: bool, passes: Callable[[list[bytes]], bool],
        careful: bool = False) -> Records:
    """The records of `text`, which begins where a record begins.

    `careful`: judge every line that is not plain by itself; otherwise only where the strict rule does not hold.
    """
    array = np.frombuffer(text, dtype=np.uint8)
    lines = physical_lines(text, array, final=final)
    quoted = grammar.quote is not None and grammar.quote in text
    odd = (grammar.escape is not None and grammar.escape in text) or (
        any(begin in text for begin in grammar.comments)
    )
    if not quoted and not odd:
        return _records(lines, np.ones(len(lines), dtype=bool), len(lines))
    if not odd and not careful:
        records = _strict(text, array, grammar, width, lines, final=final)
        if records is not None:
            return records
    return _one_by_one(text, array, grammar, width, lines, final=final, passes=passes)


def _records(lines: Lines, begins: Flags, count: int) -> Records:
    """Records that begin at the lines marked, among the first `count` lines."""
    first = np.flatnonzero(begins[:count]).astype(np.int64)
    ends = np.append(lines.starts[first[1:]], lines.nexts[count - 1]) if len(first) else first
    filled = lines.stops[first] > lines.starts[first]
    return Records(
        lines.starts[first][filled], ends[filled], first[filled],
        used=int(lines.nexts[count - 1]) if count else 0, lines=count, several=len(first) < count,
    )


def _strict(text: bytes, array: Bytes, grammar: Grammar, width: int, lines: Lines, *, final: bool) -> Records | None:
    """None where some quote neither opens, closes nor is doubled, or where a record is longer than the look-ahead."""
    if not len(lines):
        return _records(lines, np.ones(0, dtype=bool), 0)
    quotes, fine = _quotes(array, grammar, int(lines.nexts[-1]), np.zeros(1, dtype=np.int64))
    behind = np.searchsorted(quotes, lines.nexts)  # quotes up to the end of each line
    closed = behind % 2 == 0
    if not closed.any():
        return None if final or len(text) >= LOOK_AHEAD else _records(lines, closed, 0)
    count = int(np.flatnonzero(closed)[-1]) + 1
    tail = len(text) - int(lines.nexts[count - 1])
    if not fine[: behind[count - 1]].all() or (count < len(lines) and (final or tail >= LOOK_AHEAD)):
        return None
    records = _records(lines, np.append(True, closed[:-1]), count)
    if records.several:
        wide = lines.nexts[records.first] < records.ends
        longest = (records.ends - records.starts)[wide].max(initial=0)
        if longest >= LOOK_AHEAD or _doubtful(array, grammar, width, lines, closed[:count]):
            return None
    return records


def _doubtful(array: Bytes, grammar: Grammar, width: int, lines: Lines, closed: Flags) -> bool:
    """Whether some record over several lines may be what record.swallows is about; `closed` of each line told."""
    if width < 3:
        return False
    opened = np.append(True, closed[:-1])
    heads = np.flatnonzero(opened & ~closed)  # first lines of such records
    tails = np.flatnonzero(~opened & closed)  # their last lines
    places = np.flatnonzero(array[: lines.nexts[len(closed) - 1]] == grammar.delimiter[0])

    def inside(rows: Integers) -> Integers:
        return np.asarray(np.searchsorted(places, lines.stops[rows]) - np.searchsorted(places, lines.starts[rows]))

    return bool(((inside(heads) == width - 1) & (inside(tails) >= width - 1)).any())


def _quotes(array: Bytes, grammar: Grammar, limit: int, starts: Integers) -> tuple[Integers, Flags]:
    """All quotes before `limit`, and whether each opens, closes or is doubled as the strict rule wants.

    The count of quotes begins anew at each of `starts`.
    """
    quote, delimiter = (grammar.quote or b'"')[0], grammar.delimiter[0]
    quotes = np.flatnonzero(array[:limit] == quote).astype(np.int64)
    if not len(quotes):
        return quotes, np.ones(0, dtype=bool)
    before_first = np.searchsorted(quotes, starts)
    group = np.searchsorted(starts, quotes, side="right") - 1
    opens = (np.arange(len(quotes)) - before_first[group]) % 2 == 0
    left = array[np.maximum(quotes - 1, 0)]
    right = array[np.minimum(quotes + 1, len(array) - 1)]
    left_ok = (quotes == 0) | np.isin(left, (delimiter, LF, CR, quote))
    right_ok = (quotes + 1 >= len(array)) | np.isin(right, (delimiter, LF, CR, quote))
    return quotes, np.where(opens, left_ok, right_ok)


def _one_by_one(
    text: bytes, array: Bytes, grammar: Grammar, width: int, lines: Lines, *, final: bool,
    passes: Callable[[list[bytes]], bool],
) -> Records:
    kept = np.ones(len(lines), dtype=bool)  # lines at which a record begins
    rewritten: dict[int, bytes] = {}
    refused: dict[int, tuple[str, dict[str, Any]]] = {}
    ends = lines.nexts.copy()
    at, count, several, comments = 0, len(lines), False, False
    for line in np.flatnonzero(~_plain(text, array, grammar, lines)).tolist():
        if line < at:
            continue
        start = int(lines.starts[line])
        if text.startswith(grammar.left_out, start):
            kept[line], at, comments = False, line + 1, True
            continue
        verdict = judge(grammar, text, start, width=width, final=final, passes=passes)
        if verdict is None:
            count = line
            break
        at = int(np.searchsorted(lines.starts, verdict.end))
        several = several or at > line + 1
        kept[line + 1 : at] = False
        ends[line] = verdict.end
        if verdict.cells is None:
            refused[line] = (verdict.code, verdict.params or {})
        else:
            rewritten[line] = grammar.written(verdict.cells, grammar.mark)
    first = np.flatnonzero(kept[:count] & (lines.stops[:count] > lines.starts[:count])).astype(np.int64)
    places = {line: place for place, line in enumerate(first.tolist())} if rewritten or refused else {}
    return Records(
        lines.starts[first], ends[first], first, used=int(lines.nexts[count - 1]) if count else 0, lines=count,
        several=several, comments=comments,
        rewritten={places[line]: plain for line, plain in rewritten.items() if line < count},
        refused={places[line]: why for line, why in refused.items() if line < count},
    )


def _plain(text: bytes, array: Bytes, grammar: Grammar, lines: Lines) -> Flags:
    """Lines that are a record by themselves: every quote by the strict rule, no escape, no comment."""
    plain = np.ones(len(lines), dtype=bool)
    if not len(lines):
        return plain
    limit = int(lines.nexts[-1])
    if grammar.quote is not None and grammar.quote in text:
        quotes, fine = _quotes(array, grammar, limit, lines.starts)
        group = np.searchsorted(lines.starts, quotes, side="right") - 1
        plain &= np.bincount(group, minlength=len(lines)) % 2 == 0
        plain[group[~fine]] = False
    if grammar.escape is not None:
        places = np.flatnonzero(array[:limit] == grammar.escape[0])
        plain[np.searchsorted(lines.starts, places, side="right") - 1] = False
    for begin in grammar.left_out:
        plain[_beginning(array, lines, begin)] = False
    return plain


def _beginning(array: Bytes, lines: Lines, begin: bytes) -> Integers:
    """The lines that begin so, by their number."""
    found = np.flatnonzero(lines.starts + len(begin) <= len(array))
    for at, byte in enumerate(begin):
        found = found[array[lines.starts[found] + at] == byte]
    return found
