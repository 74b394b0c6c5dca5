"""Cells of an ods sheet that show an error, or hold a formula without its result: the reading library gives blanks.

::

    <table:table-cell table:formula="of:=NA()" office:value-type="string" office:string-value=""
                      calcext:value-type="error"><text:p>#N/A</text:p>    an error; older programs leave calcext out
    <table:table-cell table:formula="of:=[.A2]*2"/>                       a formula whose result was not saved
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable, Iterator

MOST_ROWS, MOST_COLUMNS = 1 << 20, 1 << 14  # of any sheet, however often a row or cell says that it is repeated
_TAG = re.compile(
    rb"<table:(?P<name>table|table-row|table-cell|covered-table-cell)"
    rb"(?P<said>(?:\s(?:[^<>\"'/]++|/(?!>)|\"[^\"<]*+\"|'[^'<]*+')*+)?)/?>"
    rb"|<text:p\b[^<>]*+>(?P<text>[^<]{1,40})|<(?P<note>/?)office:annotation\b"
)
_ERROR = re.compile(r"#(?:N/A|REF!|DIV/0!|VALUE!|NAME\?|NUM!|NULL!)|Err:\d{3}")
_SAYS_ERROR = re.compile(rb"\bcalcext:value-type\s*=\s*[\"']error[\"']")
_NAME = re.compile(rb"\btable:name\s*=\s*(?:\"([^\"]*)\"|'([^']*)')")
_ROWS = re.compile(rb"\bnumber-rows-repeated\s*=\s*[\"'](\d{1,9})")
_COLUMNS = re.compile(rb"\bnumber-columns-repeated\s*=\s*[\"'](\d{1,9})")


def lost_in_ods(
    pieces: Iterable[bytes], sheet: str, matters: Callable[[int], bool]
) -> Iterator[tuple[range, int, str]]:
    """(rows, column, error) of the first in each that matters, from 0; '' for a formula without its result.

    `pieces`: of content.xml.
    """
    inside = noted = told = False
    rows, columns, said = range(0), range(0), b""
    for tag in _tags(pieces):
        name, error = tag["name"], None
        if name == b"table":
            inside, rows = _name(tag["said"]) == sheet, range(0)
        elif not inside:
            continue
        elif name == b"table-row":
            rows, columns, said, told = _next(rows, _ROWS, tag["said"], MOST_ROWS), range(0), b"", False
        elif name is not None:
            said = tag["said"]
            columns = _next(columns, _COLUMNS, said, MOST_COLUMNS)
            error = "" if b"table:formula" in said and b"office:value-type" not in said else None
        elif tag["note"] is not None:  # its paragraphs are none of the cell's
            noted = not tag["note"]
        elif said and not noted:
            text = html.unescape(tag["text"].decode("utf-8", "replace")).strip()
            known = _SAYS_ERROR.search(said) or (b"table:formula" in said and _ERROR.fullmatch(text))
            said, error = b"", text if known else None
        if error is not None and not told and (column := next(filter(matters, columns), None)) is not None:
            told = True
            yield rows, column, error


def _name(said: bytes) -> str:
    found = _NAME.search(said)
    return html.unescape((found[1] or found[2] or b"").decode("utf-8", "replace")) if found else ""


def _next(before: range, repeated: re.Pattern[bytes], said: bytes, most: int) -> range:
    """The rows or columns that a tag is about: those behind the last ones, as many as it says."""
    found = repeated.search(said)
    return range(before.stop, min(before.stop + (int(found[1]) if found else 1), most))


def _tags(pieces: Iterable[bytes]) -> Iterator[re.Match[bytes]]:
    tail = b""
    for piece in pieces:
        text = tail + piece
        whole = max(text.rfind(b"<"), 0)
        tail = text[whole:][-65536:]
        yield from _TAG.finditer(text, 0, whole)
