"""Files whose rows are physical lines: pieces of whole lines, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from connectors.file.scan import Lines, physical_lines
from mappings.errors import SourceUnreadable

LONGEST_LINE = 16 << 20
NOTHING = b" \t\x1a\x0b\x0c\r\n"
"""What a line may hold and still be blank; \\x1a ended files under DOS."""


def whole_lines(blocks: Iterable[bytes], path: Path) -> Iterator[tuple[bytes, Lines, int]]:
    """(text, its lines, physical lines before it); SourceUnreadable if a line is longer than LONGEST_LINE."""
    carried, before = b"", 0
    for block in blocks:
        text = carried + block
        lines = physical_lines(text, np.frombuffer(text, dtype=np.uint8), final=False)
        if len(lines):
            yield text, lines, before
            before += len(lines)
            carried = text[int(lines.nexts[-1]) :]
        else:
            carried = text
        too_long(len(carried), path, before + 1)
    if carried:
        yield carried, physical_lines(carried, np.frombuffer(carried, dtype=np.uint8), final=True), before


def too_long(length: int, path: Path, line: int) -> None:
    if length > LONGEST_LINE:
        raise SourceUnreadable(
            f"a line is longer than {LONGEST_LINE >> 20} MB", where=f"{path}:{line}",
            todo="check that this is a text file, with line ends",
        )
