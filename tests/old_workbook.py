"""Workbooks of Excel 97, for tests: no library that is at hand writes them."""

from __future__ import annotations

import struct


def xls(sheet: str, cells: dict[tuple[int, int], str | float | tuple[int, bytes]]) -> bytes:
    """An Excel 97 workbook: a compound file with one stream of BIFF8 records, given as such where they are no values."""

    def record(kind: int, content: bytes) -> bytes:
        return struct.pack("<HH", kind, len(content)) + content

    def begin(kind: int) -> bytes:
        return record(0x0809, struct.pack("<HHHHII", 0x0600, kind, 0x0DBB, 0x07CC, 0, 6))

    body = begin(0x0010)
    for (row, column), value in sorted(cells.items()):
        place = struct.pack("<HHH", row, column, 0)
        if isinstance(value, tuple):
            body += record(value[0], place + value[1])
        elif isinstance(value, str):
            body += record(0x0204, place + struct.pack("<HB", len(value), 1) + value.encode("utf-16-le"))
        else:
            body += record(0x0203, place + struct.pack("<d", value))
    body += record(0x000A, b"")
    entry = struct.pack("<BBBB", 0, 0, len(sheet), 0) + sheet.encode("ascii")
    start = len(begin(5)) + 4 + 4 + len(entry) + 4
    stream = begin(5) + record(0x0085, struct.pack("<I", start) + entry) + record(0x000A, b"") + body
    stream = stream.ljust(-(-max(len(stream), 4096) // 512) * 512, b"\0")
    sectors = len(stream) // 512
    chain = [0xFFFFFFFD, 0xFFFFFFFE, *range(3, sectors + 2), 0xFFFFFFFE]
    table = struct.pack(f"<{len(chain)}I", *chain).ljust(512, b"\xff")

    def member(name: str, kind: int, child: int, first: int, size: int) -> bytes:
        text = (name + "\0").encode("utf-16-le")
        none = 0xFFFFFFFF
        return text.ljust(64, b"\0") + struct.pack("<HBBIII", len(text), kind, 1, none, none, child) + bytes(36) + (
            struct.pack("<IQ", first, size)
        )

    folder = member("Root Entry", 5, 1, 0xFFFFFFFE, 0) + member("Workbook", 2, 0xFFFFFFFF, 2, len(stream)) + bytes(256)
    head = bytes.fromhex("d0cf11e0a1b11ae1") + bytes(16) + struct.pack("<HHHHH", 0x3E, 3, 0xFFFE, 9, 6) + bytes(6)
    head += struct.pack("<IIIIIIIII", 0, 1, 1, 0, 4096, 0xFFFFFFFE, 0, 0xFFFFFFFE, 0) + struct.pack("<I", 0)
    return head.ljust(512, b"\xff") + table + folder + stream
