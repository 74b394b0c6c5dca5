"""Cells of a sheet that hold something, and that the reading library gives as blanks; here those of xlsx.

::

    <c r="B2" t="e"><v>#N/A</v></c>                    an error
    <c r="B2"><f>A2*2</f></c>, with or without <v/>    a formula whose result was not saved: programs that only write
    <c r="B2" t="str"><f>A2&amp;""</f><v></v></c>      a formula whose result is an empty text: a blank indeed
"""

from __future__ import annotations

import html
import posixpath
import re
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from connectors.file.lost_ods import lost_in_ods
from connectors.file.lost_xls import errors_in_xls
from mappings.errors import SourceUnreadable

# %s is the prefix of the sheet's names. Every run is bounded: no text takes longer than its length says.
_FORMULA = rb"<%sf\b[^<>]{0,999}(?:/>|>[^<]{0,40000}</%sf\s{0,9}>)\s{0,99}"
_ERROR = (
    rb"(?<=\s)t\s{0,9}=\s{0,9}[\"']e[\"']([^<>]{0,199})>\s{0,99}(?:" + _FORMULA + rb")?<%sv\b[^<>]{0,99}>([^<]{1,40})</"
)
_UNSAVED = _FORMULA + rb"(?P<value><%sv\s{0,9}/>|<%sv\b[^<>]{0,99}>\s{0,99}</%sv\s{0,9}>)?\s{0,99}</%sc\s{0,9}>"
_PLACE = re.compile(rb"\br\s*=\s*[\"']([A-Za-z]{1,3})(\d{1,7})[\"']")
_IS_TEXT = re.compile(rb"\bt\s*=\s*[\"']str[\"']")
_PREFIX = re.compile(rb"<([A-Za-z_][\w.-]{0,99}:)worksheet\b")
_TAG = re.compile(r"<(?:\w+:)?(?:sheet|Relationship)\s[^>]*>")
_ATTRIBUTE = re.compile(r"([\w:]+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)')")


Lost = dict[int, tuple[int, str]]
"""By row: the first column in which a cell was lost, both from 0, and its error; '' for a formula without a result."""


def lost_cells(path: Path, sheet: str, place: int, matters: Callable[[int], bool]) -> Lost:
    """The lost cells of a sheet, `place` from 0 among those of the workbook. `matters`: whether those of a column do.

    SourceUnreadable where a formula has no result and its cell does not tell where it stands.
    """
    lost: Lost = {}
    for row, column, error in _found(path, sheet, place, matters):
        if matters(column):
            lost[row] = min((column, error), lost.get(row, (column, error)))
    return lost


def _found(path: Path, sheet: str, place: int, matters: Callable[[int], bool]) -> Iterator[tuple[int, int, str]]:
    if not zipfile.is_zipfile(path):
        yield from errors_in_xls(path.read_bytes(), place)
        return
    with zipfile.ZipFile(path) as archive:
        if "content.xml" in archive.namelist():
            with archive.open("content.xml") as file:
                for rows, column, error in lost_in_ods(iter(partial(file.read, 1 << 20), b""), sheet, matters):
                    yield from ((row, column, error) for row in rows)
        elif part := _part(archive, sheet):
            yield from _lost_in_xlsx(archive, part, path, sheet)


def _lost_in_xlsx(archive: zipfile.ZipFile, part: str, path: Path, sheet: str) -> Iterator[tuple[int, int, str]]:
    with archive.open(part) as file:
        prefix = found[1] if (found := _PREFIX.search(file.read(4096))) else b""
    error, unsaved = (re.compile(pattern.replace(b"%s", re.escape(prefix))) for pattern in (_ERROR, _UNSAVED))
    begin = b"<" + prefix + b"c"
    for text in _whole_cells(archive, part, begin):
        for value in error.finditer(text) if b'"e"' in text or b"'e'" in text else ():
            if place := _place(_opening(text, begin, value.start(), value.end(1))):
                yield *place, value[2].decode("ascii", "replace")
        for formula in unsaved.finditer(text):
            opening = _opening(text, begin, formula.start(), formula.start())
            if formula["value"] and _IS_TEXT.search(opening):
                continue
            place = _place(opening)
            if place is None:
                raise SourceUnreadable(
                    f"the sheet {sheet!r} holds formulas without their results, which the program that wrote the file"
                    " did not save", where=str(path), todo="open it in a spreadsheet program and save it",
                )
            yield *place, ""


def column_number(letters: str) -> int:
    """A is 1, Z 26, AA 27."""
    number = 0
    for letter in letters.upper():
        number = number * 26 + ord(letter) - 64
    return number


def _opening(text: bytes, begin: bytes, within: int, end: int) -> bytes:
    """The opening tag, up to `end`, of the cell that holds the place `within`."""
    return text[text.rfind(begin, max(within - 999, 0), within) : end]


def _place(opening: bytes) -> tuple[int, int] | None:
    found = _PLACE.search(opening)
    return (int(found[2]) - 1, column_number(found[1].decode()) - 1) if found else None


def _whole_cells(archive: zipfile.ZipFile, part: str, begin: bytes) -> Iterator[bytes]:
    tail = b""
    with archive.open(part) as file:
        while piece := file.read(1 << 20):
            text = tail + piece
            cut = max(text.rfind(begin), 0)
            tail = text[cut:][-65536:]
            yield text[:cut]
    yield tail


def _part(archive: zipfile.ZipFile, sheet: str) -> str | None:
    """The name of the part of the archive that holds the sheet."""
    try:
        sheets = _tags(archive.read("xl/workbook.xml"))
        links = {link.get("Id"): link.get("Target", "") for link in _tags(archive.read("xl/_rels/workbook.xml.rels"))}
    except KeyError:
        return None
    for entry in sheets:
        link = next((value for name, value in entry.items() if name.endswith(":id")), None)
        if entry.get("name") == sheet and (target := links.get(link)):
            name = target.lstrip("/") if target.startswith("/") else posixpath.normpath(f"xl/{target}")
            return name if name in archive.namelist() else None
    return None


def _tags(text: bytes) -> list[dict[str, str]]:
    return [
        {found[1]: html.unescape(found[2] or found[3] or "") for found in _ATTRIBUTE.finditer(tag[0])}
        for tag in _TAG.finditer(text.decode("utf-8", "replace"))
    ]
