"""Which records hold bytes that are no text: NUL, or bytes that are not UTF-8. Costs nothing where there are none."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from connectors.page import Integers

PIECE = 1 << 15


def spoilt(text: bytes, starts: Integers, ends: Integers, used: int, *, utf8: bool = True) -> list[int]:
    """Places, in order, of the spoilt ones among the records that begin and end (line end included) there.

    `used`: the bytes of `text` to look at; `utf8=False` looks for NUL only.
    """
    found: set[int] = set()

    def after(place: int) -> int:
        """Notes the record that holds `place`, if one does, and tells where to look on."""
        record = int(np.searchsorted(ends, place, side="right"))
        if record >= len(ends):
            return used
        if place < starts[record]:  # between two records: a comment
            return int(starts[record])
        found.add(record)
        return int(ends[record])

    at = 0
    while (place := text.find(b"\0", at, used)) >= 0:
        at = after(place)
    view, at = memoryview(text), used if not utf8 or is_utf8(text, used) else 0
    while at < used:
        # In short pieces: a decoder makes room for all that it is given, at every bad byte anew
        last = int(np.searchsorted(ends, at + PIECE))
        stop = int(ends[last]) if last < len(ends) else used
        try:
            str(view[at:stop], "utf-8")
            at = stop
        except UnicodeDecodeError as error:
            at = after(at + error.start)
    return sorted(found)


def why_spoilt(record: bytes, encoding: str) -> tuple[str, dict[str, object]]:
    """The code of `mappings.messages`, and its parameters."""
    return ("nul", {}) if b"\0" in record else ("bytes", {"encoding": encoding})


def is_utf8(text: bytes, used: int) -> bool:
    """Arrow's own check, many times faster than decoding."""
    offsets = pa.array([0, used], pa.int64()).buffers()[1]
    try:
        pa.Array.from_buffers(pa.large_string(), 1, [None, offsets, pa.py_buffer(text)]).validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True
