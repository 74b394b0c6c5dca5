"""Cells of an xlsx sheet that show an error (#N/A, #REF!): the reading library gives them as blanks."""

from __future__ import annotations

import html
import posixpath
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

_CELL = re.compile(rb"<c\b([^>]*\bt\s*=\s*[\"']e[\"'][^>]*)>(.{0,4096}?)</c>", re.DOTALL)
_PLACE = re.compile(rb"\br\s*=\s*[\"']([A-Za-z]{1,3})(\d{1,7})[\"']")
_VALUE = re.compile(rb"<v>([^<]{1,40})</v>")
_TAG = re.compile(r"<(?:\w+:)?(?:sheet|Relationship)\s[^>]*>")
_ATTRIBUTE = re.compile(r"([\w:]+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)')")


def errors_of(path: Path, sheet: str) -> dict[tuple[int, int], str]:
    """The errors by (row, column) from 0; empty for files that are not xlsx."""
    found: dict[tuple[int, int], str] = {}
    if not zipfile.is_zipfile(path):
        return found
    with zipfile.ZipFile(path) as archive:
        part = _part(archive, sheet)
        for text in _whole_cells(archive, part) if part else ():
            for cell in _CELL.finditer(text) if b'"e"' in text or b"'e'" in text else ():
                place, value = _PLACE.search(cell[1]), _VALUE.search(cell[2])
                if place and value:
                    found[int(place[2]) - 1, column_number(place[1].decode()) - 1] = value[1].decode("ascii", "replace")
    return found


def column_number(letters: str) -> int:
    """A is 1, Z 26, AA 27."""
    number = 0
    for letter in letters.upper():
        number = number * 26 + ord(letter) - 64
    return number


def _whole_cells(archive: zipfile.ZipFile, part: str) -> Iterator[bytes]:
    tail = b""
    with archive.open(part) as file:
        while piece := file.read(1 << 20):
            text = tail + piece
            cut = text.rfind(b"</c>") + 4 if b"</c>" in text else 0
            tail = text[cut:][-65536:]
            yield text[:cut]


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
