"""What a delimited file is like: delimiter, header, width, decimal sign; pinned by the mapping or found in a sample."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TypeGuard

from connectors.file.encoding import SAMPLE, readable, settle, text_blocks
from connectors.file.entities import without_entities
from connectors.file.lines import too_long
from connectors.file.neutral import KEPT, MARK, OWN_PREFIX, REASONS
from connectors.file.record import Grammar, Verdict, each_line_is_whole, judge, line_end
from connectors.page import distinct_headers, place_of
from mappings.errors import SourceUnreadable
from mappings.language.read import CsvFormat, Each, Read, Records

DELIMITERS = (b";", b"\t", b"|", b",")  # the first wins where two fit equally
_COMMA = re.compile(rb"[+-]?(\d+|\d{1,3}(( |\.|\xc2\xa0|\xe2\x80\xaf)\d{3})+),\d+")
_EITHER = re.compile(rb"[+-]?[1-9]\d{0,2}([.,])\d{3}")
_THOUSANDS = re.compile(rb"[+-]?[1-9]\d{0,2}(,\d{3}){2,}")
_POINT = re.compile(rb"[+-]?(\d+|\d{1,3}(( |,|\xc2\xa0|\xe2\x80\xaf)\d{3})+)\.\d+")


@dataclass(frozen=True)
class Layout:
    """How to read the body of a delimited file; `body` and `lines` are bytes (of UTF-8) and lines before it."""

    encoding: str
    mark: int  # length of the byte order mark
    grammar: Grammar
    headers: tuple[str, ...]  # as written in the file, '' where unnamed
    columns: tuple[str, ...]
    named: bool  # the file itself has a header line
    body: int
    lines: int
    width: int  # cells of a line
    own: tuple[int, ...] | None = None  # of an export of refused rows: the cells that are read
    html: bool = False
    detected: dict[str, str] = field(default_factory=dict)

    def blocks(self, path: Path, size: int) -> Iterator[bytes]:
        """The text of the file as UTF-8, from its first line on."""
        return _stream(path, self.encoding, self.mark, size, html=self.html)


def lay_out(path: Path, form: CsvFormat, read: Read) -> Layout:
    """The layout of `path`; SourceUnreadable if there is nothing in it."""
    encoding, mark = settle(path, form.encoding)
    detected = {} if form.encoding else {"encoding": encoding}
    skipped = max(form.skip, form.header - 1 if _is_line(form.header) else 0)
    text, final = _sample(_stream(path, encoding, mark, SAMPLE, html=form.html), path, skipped)
    start = 0
    for _ in range(skipped):
        start = line_end(text, start)[1]
    comments = tuple(begin.encode() for begin in form.comment or () if begin)
    signs = (form.delimiter, form.quote, form.escape)
    delimiter, quote, escape = (None if sign is None else sign.encode() for sign in signs)
    if delimiter is None:
        delimiter = find_delimiter(text[start:], quote, escape, comments, final=final)
        detected["delimiter"] = delimiter.decode()
    grammar = Grammar(delimiter, quote, escape, comments)
    rows = list(sample_rows(text, start, grammar, limit=1000, final=final))
    headers, named = _headers(form.header, read.records), form.header is True or _is_line(form.header)
    if named and (opened := _open_header(text, start, grammar, final=final)) is not None:
        raise SourceUnreadable(
            "a quote is opened in the header line and never closed", where=f"{path}:{_line_of(text, opened)}",
            todo="close it in the export; or, under `format: csv`, write `quote: null` if quotes are ordinary"
            " characters there, or `skip` that line and name the columns: `header: [...]`",
        )
    if not rows:
        raise SourceUnreadable("the file has no line to read", where=str(path), todo="check the export, and `skip`")
    body = start
    if named:
        cells, begins, body = rows[0]
        headers = tuple(_text(cell, path) for cell in cells)
        detected |= {"header": f"line {_line_of(text, begins)}"} if form.header is True else {}
        rows = rows[1:]
    own: tuple[int, ...] | None = None
    if not any(name.startswith(OWN_PREFIX) for name in headers):  # an export has a header for every cell
        headers = _widened(headers, _used([row[0] for row in rows], headers, read.records))
    if named:
        own = own_places(headers)
    elif (mark_at := _marked([row[0] for row in rows])) is not None:
        headers = _behind_mark(headers, mark_at, len(rows[0][0]), read.continues)
        own = own_places(headers)
    if own is not None:
        detected["export"] = "refused rows"
    if form.decimal is None and (sign := find_decimal(row[0] for row in rows)):
        detected["decimal"] = sign
    columns = distinct_headers([headers[place] for place in own] if own is not None else headers)
    lines = _line_of(text, body) - 1
    return Layout(
        encoding, mark, grammar, headers, columns, named, body, lines, len(headers), own, form.html, detected
    )


def _is_line(header: bool | int | tuple[str, ...]) -> TypeGuard[int]:
    return isinstance(header, int) and not isinstance(header, bool)


def _stream(path: Path, encoding: str, mark: int, size: int, *, html: bool) -> Iterator[bytes]:
    blocks = text_blocks(path, encoding, mark, size)
    return without_entities(blocks) if html else blocks


def _sample(blocks: Iterator[bytes], path: Path, lines: int) -> tuple[bytes, bool]:
    """Whole lines from the file's beginning, SAMPLE bytes or more after the first `lines`; and whether that is all."""
    text, enough, seen = b"", 0, 0
    for chunk in blocks:
        if enough and len(text) >= enough:
            cut = max(text.rfind(b"\n"), text.rfind(b"\r", 0, len(text) - 1)) + 1
            return text[:cut], False
        text += chunk
        seen += _count(chunk)
        if not enough and seen > lines:
            enough = len(text) + (SAMPLE if lines else 0)
        if not seen:
            too_long(len(text), path, 1)
    return text, True


def _count(text: bytes) -> int:
    return text.count(b"\n") + text.count(b"\r") - text.count(b"\r\n")


def _line_of(text: bytes, place: int) -> int:
    return _count(text[:place]) + 1


def _text(cell: bytes, path: Path) -> str:
    try:
        text = cell.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SourceUnreadable(
            f"the header holds bytes that are not of the encoding: {readable(cell)!r}", where=str(path),
            todo="pin the right `encoding`, or check that this is a text file",
        ) from error
    if "\0" in text:
        raise SourceUnreadable("the header holds NUL bytes", where=str(path), todo="check that this is a text file")
    return text


def sample_rows(
    text: bytes, start: int, grammar: Grammar, *, limit: int, final: bool
) -> Iterable[tuple[list[bytes], int, int]]:
    """(cells, begins, ends) of the first records in any number of columns, damaged ones left out."""
    whole = ((verdict.cells, begins, verdict.end) for verdict, begins in _judged(text, start, grammar, final=final)
             if verdict.cells is not None)
    return islice(whole, limit)


def _judged(text: bytes, start: int, grammar: Grammar, *, final: bool) -> Iterator[tuple[Verdict, int]]:
    """What became of each record, in any number of columns, and where it begins."""
    while start < len(text):
        stop, following = line_end(text, start)
        if not text[start:stop].strip(b" \x1a") or text.startswith(grammar.left_out, start):
            start = following
            continue
        verdict = judge(grammar, text, start, width=0, final=final, passes=lambda _: True)
        if verdict is None:
            return
        yield verdict, start
        start = verdict.end


def _open_header(text: bytes, start: int, grammar: Grammar, *, final: bool) -> int | None:
    """Where the header line begins, if a quote in it is never closed.

    One over several lines is taken for that, and not for a cell with line ends, when it and every line below it in
    there has all its columns by itself, and rows have as many.
    """
    header, begins = next(_judged(text, start, grammar, final=final), (None, start))
    if header is None:
        return None
    if header.cells is None:
        return begins
    stop, following = line_end(text, begins)
    width = text.count(grammar.delimiter, begins, stop) + 1
    if following == header.end or width == 1:
        return None
    below = Counter(len(row[0]) for row in sample_rows(text, header.end, grammar, limit=200, final=final))
    rows = below.most_common(1)[0][0] if below else len(header.cells)
    return begins if rows == width and each_line_is_whole(grammar, text, begins, header.end, width) else None


def find_delimiter(
    text: bytes, quote: bytes | None, escape: bytes | None, comments: tuple[bytes, ...], *, final: bool
) -> bytes:
    """The delimiter that gives most lines, and the first of them, the same number of columns; ';' if there is none."""
    best, most = DELIMITERS[0], 0.0
    for delimiter in DELIMITERS:
        if delimiter not in text:
            continue
        grammar = Grammar(delimiter, quote, escape, comments)
        widths = [len(row[0]) for row in sample_rows(text, 0, grammar, limit=200, final=final)]
        if not widths:
            continue
        width, lines = Counter(widths).most_common(1)[0]
        score = (lines / len(widths)) ** 2 * math.log2(max(width, 1))
        if widths[0] in (width, width - 1):
            score *= 2
        if score > most:
            best, most = delimiter, score
    return best


def find_decimal(rows: Iterable[list[bytes]]) -> str | None:
    """The decimal sign, if every number of the sample that shows one shows the same.

    `1,500` and `1.500` show none: the sign may be between thousands. Where there is nothing else, the point is how
    machines write decimals; a comma alone leaves it open.
    """
    shown, either = set[str](), set[str]()
    for cells in rows:
        for cell in cells:
            if b"," not in cell and b"." not in cell:
                continue
            number = cell.strip()
            if found := _EITHER.fullmatch(number):
                either.add(found[1].decode())
            elif _COMMA.fullmatch(number):
                shown.add(",")
            elif _POINT.fullmatch(number) or _THOUSANDS.fullmatch(number):
                shown.add(".")
    signs = shown or (either if either == {"."} else set())
    return signs.pop() if len(signs) == 1 else None


def _headers(header: bool | int | tuple[str, ...], records: Records | None) -> tuple[str, ...]:
    if isinstance(header, tuple):
        return header
    if records is not None and isinstance(records.columns, tuple):
        return records.columns
    return ()


def _marked(rows: list[list[bytes]]) -> int | None:
    """Where the mark of an export without headers stands, if all rows have it there."""
    at = rows[0].index(MARK.encode()) if rows and MARK.encode() in rows[0] else None
    return at if at is not None and all(len(row) > at and row[at] == MARK.encode() for row in rows) else None


def _behind_mark(headers: tuple[str, ...], mark_at: int, width: int, each: Each | None) -> tuple[str, ...]:
    added = [each.number] if each is not None and each.number is not None else []
    given = headers if len(headers) == mark_at - len(added) else ("",) * (mark_at - len(added))
    return (*given, *added, *behind_mark(width - mark_at))


def behind_mark(width: int) -> list[str]:
    """The headers of MARK and the reasons, in a file that has none."""
    named = [f"{OWN_PREFIX}mark", *REASONS][:width]
    return [*named, *[f"{OWN_PREFIX}{place}" for place in range(len(named), width)]]


def own_places(headers: Sequence[str]) -> tuple[int, ...] | None:
    """Of an export of refused rows: the places of the source's own cells, and of those of ours that are read again."""
    if not any(name.startswith(OWN_PREFIX) for name in headers):
        return None
    return tuple(place for place, name in enumerate(headers) if not name.startswith(OWN_PREFIX) or name in KEPT)


def _used(rows: list[list[bytes]], headers: tuple[str, ...], records: Records | None) -> list[list[bytes]]:
    """The rows of the record type that is read, where there are several."""
    if records is None or isinstance(records.by, tuple):
        return rows
    place = place_of(records.by, distinct_headers(headers) if headers else [str(at) for at in range(1, 10_000)])
    use = {one.encode() for one in ((records.use,) if isinstance(records.use, str) else records.use)}
    return [row for row in rows if place is not None and place < len(row) and row[place].strip() in use]


def _widened(headers: tuple[str, ...], rows: list[list[bytes]]) -> tuple[str, ...]:
    """The headers, with the unnamed last column that lines ending with a delimiter have."""
    if not rows:
        return headers
    usual = Counter(len(row) for row in rows).most_common(1)[0][0]
    if not headers:
        return ("",) * usual
    if usual == len(headers) + 1 and all(not row[-1].strip() for row in rows if len(row) == usual):
        return (*headers, "")
    if usual == len(headers) - 1 and not headers[-1].strip():
        return headers[:-1]
    return headers
