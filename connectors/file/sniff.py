"""What kind of file this is, told by its first bytes, its name and, last, its text."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import Literal

from connectors.file.encoding import SAMPLE, mark_of
from mappings.errors import SourceUnreadable

FormatName = Literal["csv", "fixed", "excel", "jsonl", "fec"]

_ZIP, _OLE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_OTHERS = (
    (b"\x1f\x8b", "a gzip archive", "unpack it first"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", "unpack it first"),
    (b"Rar!", "a RAR archive", "unpack it first"),
    (b"\xfd7zXZ", "an xz archive", "unpack it first"),
    (b"BZh", "a bzip2 archive", "unpack it first"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive", "unpack it first"),
    (b"%PDF", "a PDF", "ask for the data as CSV or Excel"),
    (b"\x89PNG", "an image", "check the export"),
    (b"\xff\xd8\xff", "an image", "check the export"),
    (b"PAR1", "a Parquet file", "ask for the data as CSV or JSON lines"),
    (b"SQLite format 3", "an SQLite database", "export its table as CSV"),
    (b"\x7fELF", "a program", "check the export"),
    (b"MZ", "a program", "check the export"),
)
_FEC_NAME = re.compile(r"\d{9}FEC\d{8}", re.IGNORECASE)


def readable_file(path: Path) -> bytes:
    """The first bytes of a regular file that is not empty; SourceUnreadable says what it is instead."""
    where = str(path)
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise SourceUnreadable("this is a folder, not a file", where=where, todo="name a file in it")
        if not stat.S_ISREG(status.st_mode):
            raise SourceUnreadable("this is not a regular file", where=where, todo="name a file")
        if status.st_size == 0:
            raise SourceUnreadable("the file is empty", where=where, todo="check the export; nothing was changed")
        with path.open("rb") as file:
            head = file.read(SAMPLE)
    except FileNotFoundError as error:
        raise SourceUnreadable("there is no such file", where=where, todo="check the path") from error
    except PermissionError as error:
        raise SourceUnreadable(
            "the file may not be read", where=where, todo=f"give user {os.getuid()} the right to read it"
        ) from error
    except (OSError, ValueError) as error:
        raise SourceUnreadable(f"the file cannot be opened: {error}", where=where, todo="check the path") from error
    return head


def told_by_bytes(head: bytes, path: Path) -> FormatName | None:
    """`excel` for a workbook, None for text; SourceUnreadable for anything else."""
    if head.startswith((_ZIP, _OLE)):
        return "excel"
    if head.startswith((b"PK\x05\x06", b"PK\x07\x08")):
        raise SourceUnreadable("this is an empty or split zip archive", where=str(path), todo="check the export")
    for magic, what, todo in _OTHERS:
        if head.startswith(magic) and not _is_text(head):
            raise SourceUnreadable(f"this is {what}", where=str(path), todo=todo)
    if not _is_text(head):
        raise SourceUnreadable(
            "this is neither text nor a spreadsheet", where=str(path),
            todo="check that the export is complete and unpacked",
        )
    return None


def told_by_text(head: bytes, path: Path) -> FormatName:
    """jsonl, fec or csv, for a file of text whose mapping does not say."""
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if _FEC_NAME.search(path.name) or re.match(rb"\"?JournalCode\"?[\t|]", start, re.IGNORECASE):
        return "fec"
    if start.startswith(b"{"):
        return "jsonl"
    lowered = start[:200].lower()
    if lowered.startswith((b"<!doctype html", b"<html")):
        raise SourceUnreadable(
            "this is a web page, probably an error page", where=str(path), todo="look at it, and export again"
        )
    if lowered.startswith(b"<?xml"):
        raise SourceUnreadable("this is XML", where=str(path), todo="ask for the data as CSV, Excel or JSON lines")
    if start.startswith(b"[") and re.match(rb"\[\s*[\[{]", start):
        raise SourceUnreadable(
            "this is one JSON array", where=str(path), todo="ask for JSON lines: one object a line, no brackets around"
        )
    return "csv"


def _is_text(head: bytes) -> bool:
    """Hardly any control characters; a stray NUL is a damaged line and no reason to refuse a file."""
    marked, _ = mark_of(head)
    if marked is not None and marked != "utf-8":
        return True
    part = head[:65536]
    controls = sum(part.count(bytes([code])) for code in (*range(9), 11, *range(14, 26), *range(28, 32), 127))
    zeros = part.count(0)
    halves = (part[0::2].count(0), part[1::2].count(0))
    if zeros and max(halves) * 10 >= len(part) * 4 and min(halves) * 50 <= len(part):
        return True  # UTF-16 without a mark
    return controls <= 8 or controls * 20 <= len(part)
