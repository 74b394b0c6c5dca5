"""Lines of delimited text, and the ways in which they arrive damaged."""

from __future__ import annotations

from collections.abc import Iterable


def cell(value: str, delimiter: str) -> str:
    """Quoted where it must be, quotes doubled."""
    if any(sign in value for sign in (delimiter, '"', "\n")):
        return '"' + value.replace('"', '""') + '"'
    return value


def line(values: Iterable[str], delimiter: str = ";", encoding: str = "cp1252") -> bytes:
    return delimiter.join(cell(value, delimiter) for value in values).encode(encoding)


def cut_short(content: bytes, delimiter: bytes = b";") -> bytes:
    """As from a transfer that broke in the middle of a line: fewer columns than the header has."""
    parts = content.split(delimiter)
    return delimiter.join(parts[: len(parts) // 2])


def with_a_stray_delimiter(content: bytes, column: int, delimiter: bytes = b";") -> bytes:
    """Someone typed the delimiter into a text, and the export did not quote it: one column too many."""
    parts = content.split(delimiter)
    parts[column] += delimiter + b" suite"
    return delimiter.join(parts)


def with_an_impossible_byte(content: bytes, column: int, delimiter: bytes = b";", byte: bytes = b"\x81") -> bytes:
    """0x81 is no character of Windows-1252; 0xE9 alone is none of UTF-8."""
    parts = content.split(delimiter)
    parts[column] += byte
    return delimiter.join(parts)


def with_an_open_quote(content: bytes, column: int, delimiter: bytes = b";") -> bytes:
    parts = content.split(delimiter)
    parts[column] = b'"' + parts[column]
    return delimiter.join(parts)


def text_file(header: str | None, lines: Iterable[bytes], *, encoding: str = "cp1252", end: bytes = b"\r\n") -> bytes:
    head = [] if header is None else [header.encode(encoding)]
    return end.join([*head, *lines]) + end
