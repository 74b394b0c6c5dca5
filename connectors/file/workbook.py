"""What a workbook's bytes must show before it is opened: no bomb, no password, a sheet of a size that memory holds.

A spreadsheet is read whole. So its real unpacked size is measured (headers of a zip archive can lie), and the area
that its cells span: one cell in the last corner makes a library reserve all cells before it.
"""

from __future__ import annotations

import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from connectors.file.lost_cells import column_number
from mappings.errors import SourceUnreadable

LARGEST = 1 << 30  # bytes unpacked
RATIO, RATIO_FROM = 200, 100 << 20  # unpacked to packed, for files that unpack to more than RATIO_FROM
MOST_CELLS = 50_000_000
_PIECE = 1 << 20
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
_REFERENCE = re.compile(rb"\sr\s*=\s*[\"']([A-Za-z]{1,3})(\d{1,7})[\"']")
_ODS = re.compile(rb"<table:table[ >]|<table:table-row\b[^>]*>|<table:(?:covered-)?table-cell\b[^>]*>")
_ODS_ROWS = re.compile(rb"number-rows-repeated\s*=\s*[\"'](\d{1,9})")
_ODS_COLUMNS = re.compile(rb"number-columns-repeated\s*=\s*[\"'](\d{1,9})")


@dataclass(frozen=True)
class Shape:
    """What the packed parts show: bytes unpacked, and the most cells that any sheet spans."""

    size: int
    cells: int


def check_workbook(path: Path, head: bytes) -> None:
    """SourceUnreadable if the file is no workbook, is locked, or would not fit in memory."""
    where = str(path)
    if not head.startswith(b"PK"):
        if _ENCRYPTED in head or _holds(path, _ENCRYPTED):
            raise SourceUnreadable(
                "the workbook is locked by a password", where=where, todo="save it without a password"
            )
        return
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
            _is_workbook(names, where)
            shape = _measure(archive, path)
    except (zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, ValueError) as error:
        raise SourceUnreadable(
            f"the workbook is damaged or cut short: {error}", where=where, todo="ask for the file again"
        ) from error
    if shape.cells > MOST_CELLS:
        raise SourceUnreadable(
            f"a sheet spans {shape.cells:,} cells; up to {MOST_CELLS:,} are read", where=where,
            todo="delete the empty rows and columns beyond the data, or ask for the data as CSV",
        )


def _is_workbook(names: set[str], where: str) -> None:
    if "xl/workbook.bin" in names:
        raise SourceUnreadable("this is a binary workbook (xlsb)", where=where, todo="save it as xlsx")
    if "xl/workbook.xml" not in names and "content.xml" not in names:
        raise SourceUnreadable("this is a zip archive, not a workbook", where=where, todo="unpack it first")


def _measure(archive: zipfile.ZipFile, path: Path) -> Shape:
    size = cells = 0
    packed = max(path.stat().st_size, 1)
    with path.open("rb") as file:
        for info in archive.infolist():
            if info.flag_bits & 1:
                raise SourceUnreadable("the workbook is locked by a password", where=str(path), todo="save it without")
            span = _span_of(info.filename)
            for piece in _unpacked(file, info):
                size += len(piece)
                if size > LARGEST or (size > RATIO_FROM and size > RATIO * packed):
                    raise SourceUnreadable(
                        f"the workbook unpacks to more than {size >> 20} MB from {packed >> 10} kB: it is not opened",
                        where=str(path), todo="if it is genuine, ask for the data as CSV",
                    )
                if span is not None:
                    span.take(piece)
            if span is not None:
                cells = max(cells, span.cells)
    return Shape(size, cells)


def _unpacked(file: BinaryIO, info: zipfile.ZipInfo) -> Iterator[bytes]:
    """The real content of an entry in pieces, whatever size its header tells."""
    file.seek(info.header_offset)
    header = file.read(30)
    name, extra = struct.unpack("<HH", header[26:30])
    file.seek(name + extra, 1)
    left = info.compress_size
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise NotImplementedError(f"packed by method {info.compress_type}")
    inflate = zlib.decompressobj(-15) if info.compress_type == zipfile.ZIP_DEFLATED else None
    while left > 0 and (piece := file.read(min(left, _PIECE))):
        left -= len(piece)
        if inflate is None:
            yield piece
            continue
        while piece:
            yield inflate.decompress(piece, _PIECE)
            piece = inflate.unconsumed_tail


class _Sheet:
    """The span of the cells of a sheet of an xlsx file."""

    def __init__(self) -> None:
        self.tail = b""
        self.columns: set[bytes] = set()
        self.row = 0

    def take(self, piece: bytes) -> None:
        found = _REFERENCE.findall(self.tail + piece)
        self.tail = piece[-64:]
        if found:
            self.columns |= {column for column, _ in found}
            self.row = max(self.row, *map(int, {row for _, row in found}))

    @property
    def cells(self) -> int:
        return self.row * max((column_number(name.decode()) for name in self.columns), default=0)


class _Tables:
    """The largest span of the tables of an ods file, whose rows and cells may say how often they are repeated."""

    def __init__(self) -> None:
        self.tail = b""
        self.most = self.before = self.rows = self.column = self.wide = self.last = 0

    def take(self, piece: bytes) -> None:
        text = self.tail + piece
        whole = text.rfind(b">") + 1
        self.tail = text[whole:][-65536:]
        for found in _ODS.finditer(text, 0, whole):
            tag = found[0]
            if tag.startswith(b"<table:table-row"):
                self.before += self.rows
                self.rows, self.column = _repeated(_ODS_ROWS, tag), 0
            elif b"table-cell" in tag:
                self.column += _repeated(_ODS_COLUMNS, tag)
                if b"value-type" in tag or not tag.endswith(b"/>"):
                    self.wide, self.last = max(self.wide, self.column), self.before + self.rows
                    self.most = max(self.most, self.wide * self.last)
            else:
                self.before = self.rows = self.column = self.wide = self.last = 0

    @property
    def cells(self) -> int:
        return self.most


def _repeated(pattern: re.Pattern[bytes], tag: bytes) -> int:
    found = pattern.search(tag)
    return int(found[1]) if found else 1


def _span_of(name: str) -> _Sheet | _Tables | None:
    if name.startswith("xl/worksheets/") and name.endswith(".xml"):
        return _Sheet()
    return _Tables() if name == "content.xml" else None


def _holds(path: Path, what: bytes) -> bool:
    """Whether the file holds these bytes, read in pieces."""
    tail = b""
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            if what in tail + piece:
                return True
            tail = piece[-len(what) :]
    return False
