"""Cells of an xls sheet that show an error, which the reading library gives as blanks.

::

    compound file ─ sectors, by the table of what follows what ─▶ stream "Workbook" ─ records (kind, length) ─▶
      0x0085 where each sheet begins   0x0205 a value or an error   0x0006 a formula with its result   0x000A the end
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

ERRORS = {0x00: "#NULL!", 0x07: "#DIV/0!", 0x0F: "#VALUE!", 0x17: "#REF!", 0x1D: "#NAME?", 0x24: "#NUM!", 0x2A: "#N/A"}
_BEGIN, _END, _SHEET, _VALUE, _FORMULAS = 0x0809, 0x000A, 0x0085, 0x0205, (0x0006, 0x0206, 0x0406)
_LAST = 0xFFFFFFFA  # greater numbers name no sector


def errors_in_xls(file: bytes, sheet: int) -> Iterator[tuple[int, int, str]]:
    """(row, column, error) of each, from 0; `sheet`: which of the workbook's, from 0."""
    try:
        stream = _workbook(file)
        begins = [struct.unpack_from("<I", content)[0] for kind, content in _records(stream, 0) if kind == _SHEET]
        yield from _errors(stream, begins[sheet])
    except (struct.error, LookupError):  # what is cut short or damaged the library has refused, or read without these
        return


def _errors(stream: bytes, begin: int) -> Iterator[tuple[int, int, str]]:
    for kind, content in _records(stream, begin):
        code = None
        if kind == _VALUE and content[7]:
            code = content[6]
        elif kind in _FORMULAS and content[12:14] == b"\xff\xff" and content[6] == 2:
            code = content[8]
        if code is not None:
            row, column = struct.unpack_from("<HH", content)
            yield row, column, ERRORS.get(code, "#N/A")


def _records(stream: bytes, at: int) -> Iterator[tuple[int, bytes]]:
    """The records of a part of the workbook, without those of charts in it."""
    depth = 0
    while at + 4 <= len(stream):
        kind, length = struct.unpack_from("<HH", stream, at)
        depth += (kind == _BEGIN) - (kind == _END)
        if depth < 1:
            return
        if depth == 1:
            yield kind, stream[at + 4 : at + 4 + length]
        at += 4 + length


def _workbook(file: bytes) -> bytes:
    """The stream of the workbook; KeyError if there is none."""
    size = 1 << struct.unpack_from("<H", file, 30)[0]
    first, small_from, small_table, more = struct.unpack_from("<I4xII4xI", file, 48)

    def sector(number: int) -> bytes:
        return file[(number + 1) * size : (number + 2) * size]

    tables = list(struct.unpack_from("<109I", file, 76))
    while more < _LAST and len(tables) < len(file) // size:
        *numbers, more = struct.unpack(f"<{size // 4}I", sector(more))
        tables += numbers
    table = _numbers(b"".join(sector(number) for number in tables if number < _LAST))
    folder = b"".join(sector(number) for number in _chain(table, first))
    members: dict[str, tuple[int, int]] = {}
    for entry in (folder[at : at + 128] for at in range(0, len(folder), 128)):
        name = entry[: max(struct.unpack_from("<H", entry, 64)[0] - 2, 0)].decode("utf-16-le", "replace")
        members.setdefault(name, struct.unpack_from("<II", entry, 116))
    start, length = members.get("Workbook") or members["Book"]
    if length >= small_from:
        return b"".join(sector(number) for number in _chain(table, start))[:length]
    small = _numbers(b"".join(sector(number) for number in _chain(table, small_table)))
    pool = b"".join(sector(number) for number in _chain(table, members["Root Entry"][0]))
    return b"".join(pool[number * 64 : number * 64 + 64] for number in _chain(small, start))[:length]


def _numbers(content: bytes) -> tuple[int, ...]:
    return struct.unpack(f"<{len(content) // 4}I", content[: len(content) // 4 * 4])


def _chain(table: tuple[int, ...], number: int) -> Iterator[int]:
    """The numbers that follow each other, at most as many as there are: a damaged table may run in a circle."""
    for _ in table:
        if number >= _LAST:
            return
        yield number
        number = table[number]
