"""The named statements of this folder's .sql files: `-- name: x` begins one, the comment lines after it describe it."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

_NAME = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)


@cache
def statements(file: str) -> dict[str, str]:
    """Name to text, comments left out."""
    parts = _NAME.split((Path(__file__).parent / file).read_text("utf-8"))
    texts = ("\n".join(line for line in text.splitlines() if not line.startswith("--")) for text in parts[2::2])
    return dict(zip(parts[1::2], (text.strip() for text in texts), strict=True))
